//! What the numbers in a state stand for, and what follows from what: each step of a machine or of an acceptor is
//! worked out once by the code of the core, however many states it occurs in.

use super::machine::{End, Given, Input, PARTITION, Script, Stepped, key};
use super::shelf::{Notes, Shelf};
use super::{Action, MEMBERS, Role, Sent, Small, State};
use crate::rules::Rules;
use bytes::Bytes;
use scrapering_core::id::NodeId;
use scrapering_core::register::proposal::Transmit;
use scrapering_core::register::{Accepted, Acceptor, Ballot, Envelope, Reply, Request};
use scrapering_core::store::memory::MemoryStore;
use scrapering_core::store::{Batch, Store, Table, Transaction};
use scrapering_core::sync::{Fingerprint, Root};
use scrapering_core::view::message::Request as ViewRequest;
use scrapering_core::view::{Epoch, Standing, View};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Disk = BTreeMap<(Table, Vec<u8>), Bytes>;

/// A request on its way.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) role: Role,
    pub(super) to: usize,
    pub(super) round: u64,
    pub(super) envelope: Envelope,
}

/// What a node's disk says of its part in the views.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// The newest view that it knows.
    pub(super) view: u32,
    /// Whether it serves that.
    pub(super) serves: bool,
    /// Whether it is to serve that and lacks the state.
    pub(super) pending: bool,
}

/// The shelves, and the notes of what was worked out.
pub(super) struct Library {
    rules: &'static dyn Rules,
    small: Small,
    nodes: Vec<NodeId>,
    first: (View, Vec<u32>),
    disks: Shelf<Disk>,
    views: Shelf<View>,
    requests: Shelf<Asked>,
    replies: Shelf<Reply>,
    machines: Shelf<Script>,
    answers: Notes<(u32, u32), (u32, u32)>,
    steps: Notes<(u32, Input), Stepped>,
    parts: Notes<u32, Part>,
    pub(super) verdicts: Notes<Vec<super::Told>, bool>,
}

impl Library {
    pub(super) fn new(small: &Small, rules: &'static dyn Rules) -> Self {
        let nodes: Vec<NodeId> = (0..small.nodes).map(|node| NodeId::new(&format!("ring-{node}"), 1)).collect();
        let view = View::genesis(nodes[..MEMBERS].to_vec());
        let mut library = Self {
            rules,
            small: small.clone(),
            nodes,
            first: (view, Vec::new()),
            disks: Shelf::default(),
            views: Shelf::default(),
            requests: Shelf::default(),
            replies: Shelf::default(),
            machines: Shelf::default(),
            answers: Notes::default(),
            steps: Notes::default(),
            parts: Notes::default(),
            verdicts: Notes::default(),
        };
        let views = BTreeMap::from([(PARTITION, library.first.0.clone())]);
        let begin = |node: &NodeId| {
            let mut batch = Batch::default();
            rules.acceptor(*node, &views, &library.nodes).persist(&mut batch);
            library.shelve_disk(written(Disk::new(), batch))
        };
        library.first.1 = library.nodes.iter().map(begin).collect();
        library
    }

    pub(super) fn first_disks(&self) -> Vec<u32> {
        self.first.1.clone()
    }

    pub(super) fn first_view(&self) -> u32 {
        self.shelve_view(&self.first.0)
    }

    pub(super) fn view(&self, number: u32) -> View {
        View::clone(&self.views.thing(number))
    }

    fn shelve_disk(&self, disk: Disk) -> u32 {
        self.disks.number(format!("{disk:?}"), || disk)
    }

    fn shelve_view(&self, view: &View) -> u32 {
        self.views.number(format!("{view:?}"), || view.clone())
    }

    /// The disk after a request, and the answer.
    pub(super) fn answer(&self, disk: u32, request: u32) -> (u32, u32) {
        self.answers.answer((disk, request), |_| {
            let (disk, asked) = (self.disks.thing(disk), self.requests.thing(request));
            let store = store_of(&disk);
            let mut acceptor = self.acceptor(asked.to, &store);
            let mut transaction = Transaction::new(&store);
            let reply = self.rules.answer(&mut acceptor, &asked.envelope, &mut transaction);
            let reply = reply.expect("a store in memory has no way to fail");
            let disk = written(Disk::clone(&disk), transaction.into_batch());
            (self.shelve_disk(disk), self.replies.number(format!("{reply:?}"), || reply))
        })
    }

    fn acceptor(&self, node: usize, store: &MemoryStore) -> Acceptor {
        Acceptor::load(self.nodes[node], store).expect("a store in memory has no way to fail")
    }

    /// What `disk`, of whichever node, says of its node's part.
    pub(super) fn replica(&self, node: usize, disk: u32) -> Part {
        self.parts.answer(disk, |_| {
            let store = store_of(&self.disks.thing(disk));
            let acceptor = self.acceptor(node, &store);
            let replica = &acceptor.partition(PARTITION).expect("every node has heard of the first view").replica;
            let standing = replica.standing(self.nodes[node]);
            let view = self.shelve_view(&replica.view);
            Part { view, serves: standing == Standing::Active, pending: standing == Standing::Pending }
        })
    }

    /// The part of every node.
    pub(super) fn parts<'a>(&'a self, state: &'a State) -> impl Iterator<Item = Part> + 'a {
        state.disks.iter().enumerate().map(|(node, disk)| self.replica(node, *disk))
    }

    /// A machine begins.
    pub(super) fn begin(&self, role: Role, view: u32, sent: &[Sent]) -> Stepped {
        let counter = self.counter_before(role, sent);
        let script = Script { role, view: self.view(view), counter, given: Vec::new() };
        let mut machine = script.begin(&self.small, &self.nodes, self.rules);
        self.outcome(script, &mut machine)
    }

    /// A machine takes `input`.
    pub(super) fn step(&self, machine: u32, input: Input) -> Stepped {
        self.steps.answer((machine, input), |_| {
            let mut script = Script::clone(&self.machines.thing(machine));
            let mut machine = script.play(&self.small, &self.nodes, self.rules);
            let given = match input {
                Input::Answer { request, reply } => {
                    let asked = self.requests.thing(request);
                    let reply = Reply::clone(&self.replies.thing(reply));
                    Given::Answer { from: self.nodes[asked.to], round: asked.round, reply }
                }
                Input::Waited => Given::Waited,
                Input::WaitedLong => Given::WaitedLong,
            };
            machine.take(&given);
            script.given.push(given);
            self.outcome(script, &mut machine)
        })
    }

    fn outcome(&self, script: Script, machine: &mut super::machine::Machine) -> Stepped {
        let role = script.role;
        let (mut sent, mut decided, mut takes_ballot) = (Vec::new(), Vec::new(), false);
        while let Some(Transmit { to, round, envelope }) = machine.poll_transmit() {
            let Some(to) = self.nodes.iter().position(|node| *node == to) else { continue };
            takes_ballot |= ballot(&envelope.request).is_some();
            if let Request::View(ViewRequest::Install(view)) = &envelope.request {
                decided.extend((*view != self.first.0).then(|| self.shelve_view(view)));
            }
            let asked = Asked { role, to, round, envelope };
            let number = self.requests.number(format!("{asked:?}"), || asked);
            sent.push(Sent { number, to: to as u8, role });
        }
        // Whoever has told of the decision goes on only to tell of it again.
        let ended = machine.ended().or((!decided.is_empty()).then_some(End::Carried));
        let number = self.machines.number(format!("{role:?} {machine:?}"), || script);
        Stepped { machine: number, sent, takes_ballot, decided, ended }
    }

    /// Whether `request`, of a reconfiguration, is about copies and not a step of the Synod.
    pub(super) fn is_about_own_copy(&self, request: u32) -> bool {
        let Request::View(request) = &self.requests.thing(request).envelope.request else { return false };
        !matches!(request, ViewRequest::Seal { .. } | ViewRequest::Decide { .. } | ViewRequest::Install(_))
    }

    /// The counter of the process at which `role` begins: that of its client's operations before.
    fn counter_before(&self, role: Role, sent: &[Sent]) -> u64 {
        let Role::Client(client, _) = role else { return 0 };
        let asked = self.asked(sent, |role| matches!(role, Role::Client(other, _) if other == client));
        asked.filter_map(|asked| ballot(&asked.envelope.request)).map(|ballot| ballot.counter).max().unwrap_or(0)
    }

    fn asked<'a>(
        &'a self,
        sent: &'a [Sent],
        whose: impl Fn(Role) -> bool + 'a,
    ) -> impl Iterator<Item = Arc<Asked>> + 'a {
        sent.iter().filter(move |sent| whose(sent.role)).map(|sent| self.requests.thing(sent.number))
    }

    /// How many ballots `role` has taken.
    pub(super) fn ballots(&self, role: Role, sent: &[Sent]) -> usize {
        let asked = self.asked(sent, |other| other == role);
        asked.filter_map(|asked| ballot(&asked.envelope.request)).collect::<BTreeSet<Ballot>>().len()
    }

    /// The epoch and the ballot with which `role` has last asked for a value to be accepted.
    pub(super) fn last_accept(&self, role: Role, sent: &[Sent]) -> Option<(Epoch, Ballot)> {
        let asked = self.asked(sent, |other| other == role);
        let accepts = asked.filter_map(|asked| match asked.envelope.request {
            Request::Accept { ballot, .. } => Some((asked.envelope.epoch, ballot)),
            _ => None,
        });
        accepts.max_by_key(|(_, ballot)| *ballot)
    }

    /// The ballot of the key in the copy that has `fingerprint`; `None` if nobody can have had such a copy.
    pub(super) fn ballot_in(&self, fingerprint: Fingerprint, sent: &[Sent]) -> Option<Ballot> {
        let asked = self.asked(sent, |_| true);
        let accepts = asked.filter_map(|asked| match asked.envelope.request {
            Request::Accept { ballot, .. } => Some(ballot),
            _ => None,
        });
        [Ballot::default()].into_iter().chain(accepts).find(|ballot| {
            let mut root = Root::default();
            root.replace(&key(), &Accepted::default(), &Accepted { ballot: *ballot, value: None });
            root.fingerprint == fingerprint
        })
    }

    /// A step in words.
    pub(super) fn describe(&self, last: &State, action: Action) -> String {
        match action {
            Action::Begin(role, view) => format!("{} begins in epoch {}", self.name(role), self.view(view).epoch.0),
            Action::Wait(role) | Action::WaitLong(role) => format!("{} waits in vain", self.name(role)),
            Action::Deliver { place, answered } => {
                let request = last.sent[usize::from(place)].number;
                let asked = self.requests.thing(request);
                let (_, reply) = self.answer(last.disks[asked.to], request);
                let arrives = if answered { "" } else { ", and its answer is lost" };
                let (epoch, question) = (asked.envelope.epoch.0, &asked.envelope.request);
                let reply = self.replies.thing(reply);
                format!(
                    "{} -> node {}, epoch {epoch}: {question:?}\n    answers {reply:?}{arrives}",
                    self.name(asked.role),
                    asked.to
                )
            }
        }
    }

    fn name(&self, role: Role) -> String {
        match role {
            Role::Client(client, operation) => {
                let number = super::machine::operation_number(&self.small, client, operation);
                let asked = self.small.clients[usize::from(client)][usize::from(operation)];
                format!("client {client} (operation {number}: {asked:?})")
            }
            Role::Move(number) => {
                let (by, to) = &self.small.moves[usize::from(number)];
                format!("reconfiguration by node {by} to {to:?}")
            }
            Role::Late(node) => format!("recovery of node {node}"),
        }
    }
}

/// The ballot that a request brings into play.
fn ballot(request: &Request) -> Option<Ballot> {
    match request {
        Request::Prepare { ballot, .. } | Request::View(ViewRequest::Seal { ballot }) => Some(*ballot),
        _ => None,
    }
}

fn store_of(disk: &Disk) -> MemoryStore {
    let store = MemoryStore::default();
    let writes = disk.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    store.commit(&Batch { writes }).expect("a store in memory has no way to fail");
    store
}

fn written(mut disk: Disk, batch: Batch) -> Disk {
    for (key, value) in batch.writes {
        match value {
            Some(value) => disk.insert(key, value),
            None => disk.remove(&key),
        };
    }
    disk
}
