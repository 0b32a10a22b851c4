//! A 64-bit fingerprint of a text that differs in few bits from that of a similar one (Charikar 2002; Manku, Jain and Das Sarma 2007).
//!
//! Each run of three words votes with the bits of its hash. Texts whose fingerprints differ in at most three bits agree wholly in one of four blocks of
//! sixteen bits: by these blocks the candidates are found.

/// Words that vote together.
const RUN_WORDS: usize = 3;

/// Blocks by which candidates are found; one more than bits may differ.
pub const BLOCKS: usize = 4;

/// Most bits in which two similar texts may differ, for [`BLOCKS`] to find them.
pub const DISTANCE_MAX: u32 = 3;

/// The fingerprint of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Simhash(pub u64);

impl Simhash {
    /// The fingerprint of `text`, whose words are parted by white space; `None` for one without words.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let words: Vec<u64> = text.split_whitespace().map(|word| hash(word.as_bytes())).collect();
        let runs = words.windows(RUN_WORDS.min(words.len()).max(1));
        let mut votes = [0_i64; 64];
        for run in runs {
            let together = run.iter().fold(FNV_BASIS, |sum, word| mix(sum.rotate_left(5) ^ word));
            for (bit, vote) in votes.iter_mut().enumerate() {
                *vote += if together >> bit & 1 == 1 { 1 } else { -1 };
            }
        }
        let bits = votes.iter().enumerate().filter(|(_, vote)| **vote > 0).fold(0, |bits, (bit, _)| bits | 1 << bit);
        (!words.is_empty()).then_some(Self(bits))
    }

    /// In how many bits two fingerprints differ.
    #[must_use]
    pub const fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }

    /// The blocks of sixteen bits, lowest first.
    #[must_use]
    pub fn blocks(self) -> [u16; BLOCKS] {
        std::array::from_fn(|block| (self.0 >> (16 * block) & 0xffff) as u16)
    }
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a, with its bits spread evenly: the same on every machine and in every release.
fn hash(bytes: &[u8]) -> u64 {
    mix(bytes.iter().fold(FNV_BASIS, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(FNV_PRIME)))
}

/// The finaliser of splitmix64.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(changed: &[usize]) -> String {
        (0..400).map(|n| if changed.contains(&n) { format!("other{n} ") } else { format!("word{n} ") }).collect()
    }

    #[test]
    fn similar_texts_have_close_fingerprints_and_different_ones_do_not() {
        let original = Simhash::of(&text(&[])).expect("words");
        assert_eq!(Simhash::of(&text(&[]).replace(' ', "\n ")), Some(original), "white space does not count");
        let similar = Simhash::of(&text(&[200])).expect("words");
        assert!(original.distance(similar) <= DISTANCE_MAX, "{}", original.distance(similar));
        let different = Simhash::of(&text(&(0..400).collect::<Vec<_>>())).expect("words");
        assert!(original.distance(different) > 10, "{}", original.distance(different));
        assert_eq!(Simhash::of(" \n"), None);
        assert!(Simhash::of("one").is_some());
    }

    #[test]
    fn a_fingerprint_is_the_same_in_every_release() {
        assert_eq!(Simhash::of("the quick brown fox jumps over the lazy dog"), Some(Simhash(0xd86b_021b_ea30_faf5)));
    }

    #[test]
    fn fingerprints_within_the_distance_agree_in_one_block() {
        for bits in [[0, 17, 33], [1, 2, 3], [15, 16, 63]] {
            let other = bits.iter().fold(0x1234_5678_9abc_def0_u64, |value, bit| value ^ 1 << bit);
            let (one, other) = (Simhash(0x1234_5678_9abc_def0), Simhash(other));
            assert_eq!(one.distance(other), 3);
            assert!(one.blocks().iter().zip(other.blocks()).any(|(one, other)| *one == other));
        }
        assert_eq!(Simhash(0x4444_3333_2222_1111).blocks(), [0x1111, 0x2222, 0x3333, 0x4444]);
    }
}
