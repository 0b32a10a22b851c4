//! Bodies and comparisons of copies on the wire.

use super::{Checked, Malformed, fixed, partition};
use bytes::Bytes;
use scrapering_core::body::{BodyHash, BodyRef};
use scrapering_core::id::Partition;
use scrapering_core::sync::{Fingerprint, Subject};
use scrapering_core::view::Epoch;
use scrapering_proto::v1;

/// Most bodies described in one message.
pub const MAX_HASHES: usize = 1024;

/// A body where it is kept.
pub fn body(number: u32, hash: &[u8]) -> Checked<BodyRef> {
    Ok(BodyRef { partition: partition(number)?, hash: BodyHash(fixed(hash, "hash")?) })
}

/// The bytes of a hash.
#[must_use]
pub fn hash_to_wire(hash: BodyHash) -> Bytes {
    Bytes::copy_from_slice(&hash.0)
}

/// Bodies of one partition.
pub fn bodies(number: u32, hashes: &[Bytes]) -> Checked<Vec<BodyRef>> {
    if hashes.len() > MAX_HASHES {
        return Err(Malformed("hashes"));
    }
    hashes.iter().map(|hash| body(number, hash)).collect()
}

/// What is compared.
pub fn subject(number: i32) -> Checked<Subject> {
    match v1::Subject::try_from(number).map_err(|_| Malformed("subject"))? {
        v1::Subject::Registers => Ok(Subject::Registers),
        v1::Subject::Bodies => Ok(Subject::Bodies),
    }
}

/// The inverse of [`subject`].
#[must_use]
pub fn subject_to_wire(subject: Subject) -> i32 {
    match subject {
        Subject::Registers => v1::Subject::Registers.into(),
        Subject::Bodies => v1::Subject::Bodies.into(),
    }
}

/// What the sender's copy of a partition amounts to in an epoch.
pub type RootOf = (Partition, Epoch, Fingerprint);

/// What the sender's copies of partitions amount to; one each at most.
pub fn roots(roots: Vec<v1::compare_roots_request::Root>) -> Checked<Vec<RootOf>> {
    if roots.len() > usize::from(scrapering_core::id::PARTITIONS) {
        return Err(Malformed("roots"));
    }
    let root = |root: v1::compare_roots_request::Root| {
        let fingerprint = Fingerprint(fixed(&root.fingerprint, "roots.fingerprint")?);
        Ok((partition(root.partition)?, Epoch(root.epoch), fingerprint))
    };
    roots.into_iter().map(root).collect()
}

/// The inverse of [`roots`].
#[must_use]
pub fn roots_to_wire(roots: Vec<RootOf>) -> Vec<v1::compare_roots_request::Root> {
    let root = |(partition, epoch, fingerprint): RootOf| v1::compare_roots_request::Root {
        partition: u32::from(partition.0),
        epoch: epoch.0,
        fingerprint: Bytes::copy_from_slice(&fingerprint.0),
    };
    roots.into_iter().map(root).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_read_back_and_a_malformed_one_is_refused() {
        let sent = vec![(Partition(7), Epoch(3), Fingerprint([9; 32]))];
        assert_eq!(roots(roots_to_wire(sent.clone())), Ok(sent.clone()));
        let mut short = roots_to_wire(sent.clone());
        short[0].fingerprint = Bytes::from_static(b"short");
        assert_eq!(roots(short), Err(Malformed("roots.fingerprint")));
        let many = roots_to_wire(vec![sent[0]; 257]);
        assert_eq!(roots(many), Err(Malformed("roots")));
    }

    #[test]
    fn a_body_of_no_partition_and_too_many_bodies_are_refused() {
        let hash = hash_to_wire(BodyHash([1; 32]));
        assert_eq!(body(3, &hash), Ok(BodyRef { partition: Partition(3), hash: BodyHash([1; 32]) }));
        assert_eq!(body(256, &hash), Err(Malformed("partition")));
        assert_eq!(body(3, b"short"), Err(Malformed("hash")));
        assert_eq!(bodies(3, &vec![hash; MAX_HASHES + 1]), Err(Malformed("hashes")));
    }

    #[test]
    fn a_subject_of_tomorrow_is_refused() {
        for known in [Subject::Registers, Subject::Bodies] {
            assert_eq!(subject(subject_to_wire(known)), Ok(known));
        }
        assert_eq!(subject(9), Err(Malformed("subject")));
    }
}
