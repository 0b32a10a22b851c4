//! The world: machines, the messages between them, and what befalls both. Requests are calls: each is answered or
//! runs out of time at its sender.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use scrapering_core::id::NodeId;
use scrapering_core::membership::{
    CallId, Config, Entry, Event, Liveness, Member, Membership, Reply, Request, Serving, Transmit,
};
use scrapering_core::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How rough the network is.
#[derive(Clone, Copy, Debug)]
pub struct Dials {
    /// The share of messages that is lost, requests and answers alike.
    pub loss: f64,
    /// Whether a crashed node refuses calls at once, as a machine does whose process was killed; otherwise calls
    /// to it run out of time, as when the machine is gone.
    pub refuses: bool,
}

/// Somebody changed his mind about somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// When.
    pub at: Instant,
    /// Whose table.
    pub observer: usize,
    /// About whom.
    pub subject: NodeId,
    /// What he thinks now.
    pub liveness: Liveness,
}

/// Most messages take so long ...
const FAST_MS: std::ops::Range<u64> = 1..10;
/// ... and one in [`SLOW_ONE_IN`] so long.
const SLOW_MS: std::ops::Range<u64> = 50..300;
const SLOW_ONE_IN: u32 = 30;
/// How long it takes to be refused.
const REFUSED: Duration = Duration::from_millis(1);

/// A call is the machine's own or a probe in another's stead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Own(CallId),
    Relay(u64),
}

#[derive(Clone, Copy, Debug)]
struct RelayFor {
    origin: (usize, u32),
    call: Call,
    target: NodeId,
}

#[derive(Debug)]
enum Happening {
    Wake,
    Request { from: (usize, u32), call: Call, request: Request },
    Reply { call: Call, reply: Reply },
    Expire { call: Call },
}

/// A machine and its fate.
#[derive(Debug)]
pub struct Node {
    /// The machine of its present or last life.
    pub machine: Membership,
    /// Its record.
    pub member: Member,
    /// Whether its process runs.
    pub up: bool,
    paused: bool,
    life: u32,
    boots: u64,
    wake: Option<Instant>,
    open: BTreeMap<Call, Option<RelayFor>>,
    backlog: Vec<Happening>,
}

/// A seeded world.
pub struct World {
    /// The time.
    pub now: Instant,
    /// All machines, those of ended generations too.
    pub nodes: Vec<Node>,
    /// Every change of mind so far.
    pub verdicts: Vec<Verdict>,
    /// Messages that were sent: requests and answers.
    pub messages: u64,
    /// The dice of whoever runs the world.
    pub dice: SmallRng,
    /// The network.
    pub dials: Dials,
    config: Config,
    index: BTreeMap<NodeId, usize>,
    cut: BTreeSet<usize>,
    due: BTreeMap<(Instant, u64), (usize, u32, Happening)>,
    count: u64,
}

impl World {
    /// A ring of `count` genesis members that start within a second.
    #[must_use]
    pub fn new(seed: u64, count: usize, dials: Dials) -> Self {
        let mut world = Self {
            now: Instant::default(),
            nodes: Vec::new(),
            verdicts: Vec::new(),
            messages: 0,
            dice: SmallRng::seed_from_u64(seed),
            dials,
            config: Config::default(),
            index: BTreeMap::new(),
            cut: BTreeSet::new(),
            due: BTreeMap::new(),
            count: 0,
        };
        let genesis: Vec<Member> =
            (0..count).map(|number| Member::new(format!("ring-{number}"), 1, format!("ring-{number}:7443"))).collect();
        for member in &genesis {
            let at = Instant(Duration::from_millis(world.dice.random_range(0..1_000)));
            world.now = at;
            world.add(member.clone(), genesis.iter().filter(|other| *other != member).cloned());
        }
        world.now = Instant::default();
        world
    }

    /// A new node starts that has heard of `contacts`; returns its number.
    pub fn add(&mut self, member: Member, contacts: impl IntoIterator<Item = Member>) -> usize {
        let number = self.nodes.len();
        let machine = self.machine(&member, 1, contacts.into_iter().map(Entry::unheard).collect());
        self.index.insert(member.node, number);
        self.nodes.push(Node {
            machine,
            member,
            up: true,
            paused: false,
            life: 0,
            boots: 1,
            wake: None,
            open: BTreeMap::new(),
            backlog: Vec::new(),
        });
        self.settle(number);
        number
    }

    fn machine(&mut self, member: &Member, boot: u64, known: Vec<Entry>) -> Membership {
        let own = Entry::own(member.clone(), boot << 32, Serving::Serving);
        Membership::new(own, known, self.config, self.dice.random(), self.now)
    }

    /// Lets `span` pass.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= end
        {
            let ((at, _), (number, life, happening)) = entry.remove_entry();
            self.now = at;
            self.handle(number, life, happening);
        }
        self.now = end;
    }

    /// Lets time pass in steps of 50 ms until `done`, for `most` at most; how long it took.
    pub fn run_until(&mut self, most: Duration, done: impl Fn(&Self) -> bool) -> Option<Duration> {
        let begin = self.now;
        while !done(self) {
            if self.now.since(begin) >= most {
                return None;
            }
            self.run(Duration::from_millis(50));
        }
        Some(self.now.since(begin))
    }

    /// The process of `number` ends without a word.
    pub fn crash(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        (node.up, node.paused, node.wake) = (false, false, None);
        node.life += 1;
        node.open.clear();
        node.backlog.clear();
    }

    /// The process of `number` starts again and remembers `known`.
    pub fn restart(&mut self, number: usize, known: Vec<Entry>) {
        self.crash(number);
        let (member, boot) = (self.nodes[number].member.clone(), self.nodes[number].boots + 1);
        let machine = self.machine(&member, boot, known);
        let node = &mut self.nodes[number];
        (node.machine, node.boots, node.up) = (machine, boot, true);
        self.settle(number);
    }

    /// The process of `number` stands still.
    pub fn pause(&mut self, number: usize) {
        self.nodes[number].paused = self.nodes[number].up;
    }

    /// The process of `number` goes on; what came meanwhile waits for it.
    pub fn resume(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        node.paused = false;
        let (life, backlog) = (node.life, std::mem::take(&mut node.backlog));
        for happening in backlog {
            self.handle(number, life, happening);
        }
    }

    /// Whether `number` runs and does not stand still.
    #[must_use]
    pub fn works(&self, number: usize) -> bool {
        self.nodes[number].up && !self.nodes[number].paused
    }

    /// Counts the lives of `number`.
    #[must_use]
    pub fn life(&self, number: usize) -> u32 {
        self.nodes[number].life
    }

    /// Cuts `half` off from the others; an empty one heals the network.
    pub fn partition(&mut self, half: BTreeSet<usize>) {
        self.cut = half;
    }

    /// Does something to the machine of `number` and carries out what follows.
    pub fn with(&mut self, number: usize, change: impl FnOnce(&mut Membership, Instant)) {
        change(&mut self.nodes[number].machine, self.now);
        self.settle(number);
    }

    fn handle(&mut self, number: usize, life: u32, happening: Happening) {
        let node = &mut self.nodes[number];
        if node.life != life || !node.up {
            return;
        }
        if node.paused {
            node.backlog.push(happening);
            return;
        }
        match happening {
            Happening::Wake => {
                node.wake = None;
                if node.machine.poll_timeout().is_some_and(|due| due <= self.now) {
                    node.machine.handle_timeout(self.now);
                }
            }
            Happening::Request { from, call, request } => self.answer(number, from, call, request),
            Happening::Reply { call, reply } => self.end_call(number, call, Some(reply)),
            Happening::Expire { call } => self.end_call(number, call, None),
        }
        self.settle(number);
    }

    fn answer(&mut self, number: usize, from: (usize, u32), call: Call, request: Request) {
        let (machine, now) = (&mut self.nodes[number].machine, self.now);
        let reply = match request {
            Request::Ping(gossip) => Reply::Ack(Some(machine.handle_ping(gossip, now))),
            Request::Exchange(table) => Reply::Table(machine.handle_exchange(table, now)),
            Request::PingReq { target, gossip } => match machine.handle_ping_req(target, gossip, now) {
                None => Reply::Relayed(None),
                Some(gossip) => {
                    let relay = RelayFor { origin: from, call, target };
                    let timeout = self.config.relay_timeout;
                    self.count += 1;
                    let call = Call::Relay(self.count);
                    return self.send(number, target, call, Some(relay), Request::Ping(gossip), timeout);
                }
            },
        };
        self.reply(number, from, call, reply);
    }

    fn end_call(&mut self, number: usize, call: Call, reply: Option<Reply>) {
        let node = &mut self.nodes[number];
        // Who has stopped waiting does not hear a late answer.
        let Some(relay) = node.open.remove(&call) else { return };
        match (call, relay) {
            (Call::Own(call), _) => node.machine.handle_reply(call, reply, self.now),
            (Call::Relay(_), None) => {}
            (Call::Relay(_), Some(relay)) => {
                let reply = node.machine.handle_relay(relay.target, reply, self.now);
                self.reply(number, relay.origin, relay.call, reply);
            }
        }
    }

    /// Sends what the machine wants to send, notes what it saw, and wakes it in time.
    fn settle(&mut self, number: usize) {
        while let Some(Transmit { to, call, request, timeout }) = self.nodes[number].machine.poll_transmit() {
            self.send(number, to, Call::Own(call), None, request, timeout);
        }
        while let Some(event) = self.nodes[number].machine.poll_event() {
            if let Event::Liveness { node, liveness } = event {
                self.verdicts.push(Verdict { at: self.now, observer: number, subject: node, liveness });
            }
        }
        let node = &mut self.nodes[number];
        if let Some(due) = node.machine.poll_timeout()
            && node.wake.is_none_or(|wake| due < wake)
        {
            let due = due.max(self.now);
            node.wake = Some(due);
            let life = node.life;
            self.schedule(due, number, life, Happening::Wake);
        }
    }

    fn send(
        &mut self,
        from: usize,
        to: NodeId,
        call: Call,
        relay: Option<RelayFor>,
        request: Request,
        timeout: Duration,
    ) {
        self.nodes[from].open.insert(call, relay);
        let sender = (from, self.nodes[from].life);
        let Some(&to) = self.index.get(&to) else {
            return self.schedule(self.now + REFUSED, sender.0, sender.1, Happening::Expire { call });
        };
        self.messages += 1;
        let refused = self.dials.refuses && !self.nodes[to].up && self.is_reachable(from, to);
        let patience = if refused { REFUSED } else { timeout };
        self.schedule(self.now + patience, sender.0, sender.1, Happening::Expire { call });
        if let Some(delay) = self.delay(from, to) {
            let life = self.nodes[to].life;
            self.schedule(self.now + delay, to, life, Happening::Request { from: sender, call, request });
        }
    }

    fn reply(&mut self, from: usize, to: (usize, u32), call: Call, reply: Reply) {
        self.messages += 1;
        if let Some(delay) = self.delay(from, to.0) {
            self.schedule(self.now + delay, to.0, to.1, Happening::Reply { call, reply });
        }
    }

    fn is_reachable(&self, from: usize, to: usize) -> bool {
        self.cut.contains(&from) == self.cut.contains(&to)
    }

    /// How long a message takes; `None` if it is lost.
    fn delay(&mut self, from: usize, to: usize) -> Option<Duration> {
        let slow = self.dice.random_ratio(1, SLOW_ONE_IN);
        let delay = self.dice.random_range(if slow { SLOW_MS } else { FAST_MS });
        let lost = self.dice.random_bool(self.dials.loss) || !self.is_reachable(from, to);
        (!lost).then(|| Duration::from_millis(delay))
    }

    fn schedule(&mut self, at: Instant, number: usize, life: u32, happening: Happening) {
        self.count += 1;
        self.due.insert((at, self.count), (number, life, happening));
    }
}
