//! Whose turn it is at a host: jobs that wait for it are served in proportion to their weights (stride scheduling,
//! Waldspurger and Weihl 1995). Each job that waits is served again and again, whatever the weights are.

/// What a turn costs a job of weight 1; one of weight n pays the n-th part.
const STRIDE: u64 = 1 << 32;

/// A job's place in the order: the lower the sooner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::frontier) struct Pass(u64);

/// The clock of a host: how far those have come that were served last.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::frontier) struct Turns {
    now: Pass,
}

impl Turns {
    /// Where a job stands: one that did not wait for a while has saved nothing up.
    pub(in crate::frontier) fn place(self, own: Pass) -> Pass {
        own.max(self.now)
    }

    /// A job of this weight, at least 1, is served; returns its next place.
    pub(in crate::frontier) fn serve(&mut self, own: Pass, weight: u32) -> Pass {
        self.now = self.place(own);
        Pass(self.now.0.saturating_add(STRIDE / u64::from(weight.max(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_go_by_weight_and_everybody_has_some() {
        let weights = [1, 11, 101];
        let (mut turns, mut passes, mut served) = (Turns::default(), [Pass::default(); 3], [0_u32; 3]);
        for _ in 0..1_130 {
            let next = (0..3).min_by_key(|job| (turns.place(passes[*job]), *job)).expect("three jobs");
            passes[next] = turns.serve(passes[next], weights[next]);
            served[next] += 1;
        }
        for (weight, served) in weights.iter().zip(served) {
            assert!(served.abs_diff(weight * 10) <= 3, "{served} turns for the weight {weight}");
        }
    }

    #[test]
    fn who_did_not_wait_for_a_while_has_saved_nothing_up() {
        let (mut turns, mut busy, idle) = (Turns::default(), Pass::default(), Pass::default());
        for _ in 0..1_000 {
            busy = turns.serve(busy, 1);
        }
        let idle = turns.serve(idle, 1);
        assert!(turns.place(idle) >= turns.place(busy), "one turn, and then the other again");
    }
}
