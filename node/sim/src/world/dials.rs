//! How rough a world is.

use rand::Rng;
use rand::rngs::SmallRng;
use scrapering_core::body::least_copies;
use scrapering_core::id::{Key, Partition};

/// How busy and how slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Four clients on three keys of two partitions; views move in three worlds of four.
    Normal,
    /// Six clients, mostly compare-and-set on one key, a quarter of all messages slow; views move more often.
    Hot,
    /// As normal, with records that refer to bodies, and one or two disks on which bodies rot.
    Bodies,
}

impl Profile {
    /// Where registers stand alone.
    pub const OF_REGISTERS: [Self; 2] = [Self::Normal, Self::Hot];
    /// Where registers refer to bodies.
    pub const WITH_BODIES: [Self; 1] = [Self::Bodies];

    /// As the command line spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Hot => "hot",
            Self::Bodies => "bodies",
        }
    }
}

/// What makes a run; two runs of one setup are the same to the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Of all dice.
    pub seed: u64,
    /// How rough.
    pub profile: Profile,
    /// Copies of each register: 3 or 5.
    pub replicas: usize,
}

/// The figures behind a profile.
#[derive(Clone, Debug)]
pub struct Dials {
    /// Nodes; more than replicas, so that there are coordinators that hold nothing.
    pub nodes: usize,
    /// Copies of each register.
    pub replicas: usize,
    /// Clients, each with one call (or batch) at a time.
    pub clients: usize,
    /// Calls that a client makes.
    pub calls_per_client: u32,
    /// Keys in the first partition, and in the second.
    pub keys: [usize; 2],
    /// Share of calls on the first key alone.
    pub first_key: f64,
    /// Share of messages lost.
    pub loss: f64,
    /// Share of messages delivered twice.
    pub duplicates: f64,
    /// Share of messages that take 50 to 350 ms instead of 0.2 to 10 ms.
    pub slow: f64,
    /// Share of fsyncs that take 20 to 200 ms instead of 0.5 to 5 ms.
    pub slow_fsync: f64,
    /// Share of group commits that fail.
    pub failed_commits: f64,
    /// Share of coordinators that believe in a view of another epoch.
    pub strays: f64,
    /// Weights of read, put, create, compare-and-set, delete.
    pub mix: [u32; 5],
    /// Share of calls that are scans.
    pub scans: f64,
    /// Share of batches with a write whose records refer to a body that is put first.
    pub bodies: f64,
    /// Disks on which bodies are lost and damaged: one less than the copies with which a put is content.
    pub rotten_disks: usize,
    /// Longest pause of a client between calls, microseconds.
    pub think_us: u64,
    /// Mean time between faults, microseconds.
    pub fault_every_us: u64,
    /// When faults and clients stop, microseconds.
    pub workload_us: u64,
    /// Mean time between moves of views, microseconds; `None` if nothing moves.
    pub move_every_us: Option<u64>,
}

impl Dials {
    /// The figures of `setup`.
    #[must_use]
    pub fn of(setup: Setup) -> Self {
        let nodes = match setup.profile {
            Profile::Normal | Profile::Hot => setup.replicas + 3,
            // `view::replicas` keeps 3 copies in rings of 3 and 4 nodes, 5 in larger ones.
            Profile::Bodies => setup.replicas + 1,
        };
        // One world in four keeps its first views: what is only true there is watched there.
        let moves = setup.profile != Profile::Bodies && !setup.seed.is_multiple_of(4);
        let normal = Self {
            nodes,
            replicas: setup.replicas,
            clients: 4,
            calls_per_client: 14,
            keys: [2, 1],
            first_key: 0.3,
            loss: 0.04,
            duplicates: 0.03,
            slow: 0.03,
            slow_fsync: 0.03,
            failed_commits: 0.002,
            strays: 0.03,
            mix: [35, 20, 10, 25, 10],
            scans: 0.06,
            bodies: 0.0,
            rotten_disks: 0,
            think_us: 40_000,
            fault_every_us: 120_000,
            workload_us: 4_000_000,
            move_every_us: moves.then_some(400_000),
        };
        match setup.profile {
            Profile::Normal => normal,
            Profile::Hot => Self {
                clients: 6,
                calls_per_client: 10,
                keys: [2, 0],
                first_key: 0.85,
                slow: 0.25,
                slow_fsync: 0.2,
                mix: [20, 8, 12, 45, 15],
                think_us: 10_000,
                fault_every_us: 80_000,
                move_every_us: moves.then_some(250_000),
                ..normal
            },
            Profile::Bodies => {
                let rotten_disks = least_copies(nodes) - 1;
                Self { bodies: 0.7, rotten_disks, slow_fsync: 0.1, ..normal }
            }
        }
    }

    /// The keys of a run, in one or two random partitions.
    pub(super) fn keys(&self, dice: &mut SmallRng) -> Vec<Key> {
        let first = dice.random_range(0..128);
        let second = dice.random_range(128..256);
        let named = |partition: u16, count: usize| {
            (0..count).map(move |number| Key::new(Partition(partition), [b'k', number as u8]))
        };
        named(first, self.keys[0]).chain(named(second, self.keys[1])).collect()
    }
}
