//! Cookie jars: what each origin has given to each job, kept by the origin's owner and written down like its pauses.
//!
//! What a cookie means is the caller's business. A jar belongs to one origin: nothing of it is sent anywhere else.

use super::Shard;
use super::commit::Pending;
use crate::frontier::keys::origin_hash;
use crate::frontier::record::{JarRecord, JobId, decode};
use std::fmt;
use std::sync::Arc;

/// The cookies of a job at one origin.
pub(super) struct Jar {
    origin: Arc<str>,
    cookies: Arc<str>,
    /// Version of its record, 0 without one.
    version: u64,
    /// A write of it is on its way.
    writing: bool,
    /// It has changed since that write.
    changed: bool,
}

impl fmt::Debug for Jar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jar").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Shard {
    /// The cookies of `job` at `origin`, if it has given any.
    #[must_use]
    pub fn cookies(&self, job: JobId, origin: &str) -> Option<Arc<str>> {
        let jars = &self.jobs.get(&job)?.jars;
        // Most jobs meet no cookie: nothing is hashed for them.
        if jars.is_empty() { None } else { jars.get(&origin_hash(origin)).map(|jar| jar.cookies.clone()) }
    }

    /// The cookies of `job` at `origin` are these from now on.
    pub fn handle_cookies(&mut self, id: JobId, origin: &str, cookies: &str) {
        let Some(shard) = self.jobs.get_mut(&id) else { return };
        let hash = origin_hash(origin);
        let jar = shard.jars.entry(hash).or_insert_with(|| Jar {
            origin: origin.into(),
            cookies: "".into(),
            version: 0,
            writing: false,
            changed: false,
        });
        jar.cookies = cookies.into();
        jar.changed = true;
        self.write_jar(id, hash);
    }

    /// Writes a jar down that has changed, one write at a time.
    fn write_jar(&mut self, id: JobId, hash: [u8; 20]) {
        let token = self.token;
        let jar = self.jobs.get_mut(&id).and_then(|shard| shard.jars.get_mut(&hash));
        let Some(jar) = jar.filter(|jar| jar.changed && !jar.writing) else { return };
        (jar.changed, jar.writing) = (false, true);
        let record = JarRecord { origin: jar.origin.to_string(), token, cookies: jar.cookies.to_string() };
        self.pipeline.push(Pending::jar(id, record));
    }

    pub(super) fn load_jar(&mut self, job: JobId, hash: [u8; 20], record: JarRecord, version: u64) {
        let (origin, cookies) = (record.origin.into(), record.cookies.into());
        let jar = Jar { origin, cookies, version, writing: false, changed: false };
        self.jobs.entry(job).or_default().jars.insert(hash, jar);
    }

    pub(super) fn jar_version(&self, job: JobId, hash: [u8; 20]) -> u64 {
        self.jobs.get(&job).and_then(|shard| shard.jars.get(&hash)).map_or(0, |jar| jar.version)
    }

    pub(super) fn settle_jar(&mut self, job: JobId, hash: [u8; 20], version: u64) {
        if let Some(jar) = self.jobs.get_mut(&job).and_then(|shard| shard.jars.get_mut(&hash)) {
            jar.version = version;
            jar.writing = false;
        }
        self.write_jar(job, hash);
    }

    /// Another jar stands in the register; returns whether it stays there: it is a later owner's.
    pub(super) fn settle_rival_jar(&mut self, job: JobId, hash: [u8; 20], content: &[u8], version: u64) -> bool {
        let Some(jar) = self.jobs.get_mut(&job).and_then(|shard| shard.jars.get_mut(&hash)) else { return true };
        jar.version = version;
        decode::<JarRecord>(content).is_ok_and(|rival| rival.token > self.token)
    }
}
