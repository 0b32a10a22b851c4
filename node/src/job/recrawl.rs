//! `spec.recrawl`, judged.

use super::report::{Faults, Place};
use scrapering_core::job::recrawl::{Emit, Recrawl};
use scrapering_crds::job::recrawl::{DECR_MAX, EmitSpec, INCR_MAX, INTERVAL_MAX, INTERVAL_MIN, RecrawlSpec};

pub(super) fn recrawl(written: &RecrawlSpec, at: &Place, faults: &mut Faults) -> Recrawl {
    let (adaptive, at) = (&written.adaptive, at.field("adaptive"));
    let (min, max) = (adaptive.min.0, adaptive.max.0);
    if min < INTERVAL_MIN || min > INTERVAL_MAX {
        faults.add(&at.field("min"), "must be from 1s to 8760h");
    }
    if max < INTERVAL_MIN || max > INTERVAL_MAX {
        faults.add(&at.field("max"), "must be from 1s to 8760h");
    } else if min > max {
        faults.add(&at.field("min"), "is longer than max; shorten it or raise max");
    }
    let mut permille = |field: &str, part: f64, most: f64| {
        if !(0.0..=most).contains(&part) {
            faults.add(&at.field(field), format!("is {part}; use 0 to {most}"));
            return 0;
        }
        // In bounds: at most 10,000.
        (part * 1_000.0).round() as u32
    };
    Recrawl {
        conditional: written.conditional_requests,
        min,
        // Bad ones are refused; a clamp must not have its bounds the wrong way round meanwhile.
        max: max.max(min),
        incr_permille: permille("incr", adaptive.incr, INCR_MAX),
        decr_permille: permille("decr", adaptive.decr, DECR_MAX),
        emit: match written.emit {
            EmitSpec::All => Emit::All,
            EmitSpec::Changed => Emit::Changed,
        },
    }
}
