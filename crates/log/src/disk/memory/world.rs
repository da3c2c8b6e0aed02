//! The inside of a simulated disk: files, names, what is pending, and the
//! operations in flight.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;
use std::task::Waker;

use crate::disk::FileInfo;
use crate::disk::memory::{DiskCounters, Fate, Fault, MemoryFile, Pending, Wrong};
use crate::width::{u64_from, usize_from};

const BLOCK_BYTES: usize = 4096;
const SECTOR_BYTES: usize = 512;

/// What the end of an operation makes durable.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Effect {
    Nothing,
    /// What this operation wrote.
    Durable {
        file: u64,
    },
    /// All that was written to the file before.
    Flush {
        file: u64,
    },
    /// All names made before.
    SyncNames,
}

#[derive(Clone, Debug)]
enum Change {
    Block { block: u64, bytes: Vec<u8> },
    Cut { bytes: u64 },
}

#[derive(Clone, Debug)]
struct PendingChange {
    operation: u64,
    name: String,
    change: Change,
}

#[derive(Clone, Debug, Default)]
struct FileState {
    /// What survives anything. Shared among forks until one changes it.
    durable: Rc<Vec<u8>>,
    /// What a read sees.
    seen: Rc<Vec<u8>>,
    pending: Vec<PendingChange>,
    /// Blocks that cannot be read.
    worn_out: BTreeSet<u64>,
}

#[derive(Clone, Debug)]
struct NameChange {
    operation: u64,
    /// Removed, if it names this file.
    from: Option<String>,
    /// Made.
    to: Option<String>,
    file: u64,
}

#[derive(Debug)]
struct InFlight {
    effect: Effect,
    outcome: Result<(), io::ErrorKind>,
    is_done: bool,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    pending_names: Vec<NameChange>,
    files: BTreeMap<u64, FileState>,
    last_file: u64,
    /// Counts crashes: files opened before one are dead.
    pub(crate) life: u64,
    pub(crate) faults: Vec<Fault>,
    pub(crate) capacity: Option<u64>,
    pub(crate) counters: DiskCounters,
    pub(crate) is_manual: bool,
    /// Changes until the disk halts; 0 for never.
    halt_in: u64,
    halted: bool,
    last_operation: u64,
    in_flight: BTreeMap<u64, InFlight>,
}

impl World {
    pub(crate) fn fork(&self) -> Self {
        Self {
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            pending_names: self.pending_names.clone(),
            files: self.files.clone(),
            last_file: self.last_file,
            life: self.life,
            capacity: self.capacity,
            last_operation: self.last_operation,
            ..Self::default()
        }
    }

    pub(crate) fn halt_in(&mut self, changes: u64) {
        self.halt_in = changes;
        self.halted = false;
    }

    pub(crate) fn is_halted(&self) -> bool {
        self.halted
    }

    pub(crate) fn begin(
        &mut self,
        operation: &'static str,
        file: &str,
        begin: impl FnOnce(&mut Self) -> Result<Effect, io::ErrorKind>,
    ) -> u64 {
        self.last_operation += 1;
        let id = self.last_operation;
        if !matches!(operation, "read" | "open" | "list") {
            self.counters.changes += 1;
            if self.halt_in == 1 {
                self.halted = true;
            }
            self.halt_in = self.halt_in.saturating_sub(1);
        }
        let (effect, outcome) = match self.take_fault(operation, file) {
            None => split(begin(self)),
            Some(Wrong::Fails(kind)) => {
                let _ = begin(self);
                (Effect::Nothing, Err(kind))
            }
            Some(Wrong::Lies) => (Effect::Nothing, Ok(())),
            Some(Wrong::Misses(blocks)) => {
                let result = split(begin(self));
                self.displace(id, blocks);
                result
            }
        };
        let in_flight = InFlight { effect, outcome, is_done: false, waker: None };
        self.in_flight.insert(id, in_flight);
        if !self.is_manual && !self.halted {
            self.complete(id);
        }
        id
    }

    fn take_fault(&mut self, operation: &str, file: &str) -> Option<Wrong> {
        let fault = self.faults.iter_mut().find(|fault| {
            fault.operation == operation && file.starts_with(&fault.file) && fault.times > 0
        })?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times -= 1;
        Some(fault.wrong)
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = u64> {
        let waiting = self.in_flight.iter().filter(|(_, flight)| !flight.is_done);
        waiting.map(|(id, _)| *id)
    }

    /// Ends an operation; gives back whom to wake.
    pub(crate) fn complete(&mut self, id: u64) -> Option<Waker> {
        let flight = self.in_flight.get_mut(&id)?;
        flight.is_done = true;
        let waker = flight.waker.take();
        if flight.outcome.is_ok() {
            match flight.effect {
                Effect::Nothing => {}
                Effect::Durable { file } => self.settle(file, |operation| operation == id),
                Effect::Flush { file } => self.settle(file, |operation| operation <= id),
                Effect::SyncNames => self.settle_names(id),
            }
        }
        waker
    }

    pub(crate) fn result(&mut self, id: u64) -> Option<Result<(), io::ErrorKind>> {
        if !self.in_flight.get(&id)?.is_done {
            return None;
        }
        self.in_flight.remove(&id).map(|flight| flight.outcome)
    }

    pub(crate) fn wait(&mut self, id: u64, waker: &Waker) {
        if let Some(flight) = self.in_flight.get_mut(&id) {
            flight.waker = Some(waker.clone());
        }
    }

    /// Makes pending changes durable; older ones of the same blocks are
    /// overtaken.
    fn settle(&mut self, file: u64, is_due: impl Fn(u64) -> bool) {
        let Some(file) = self.files.get_mut(&file) else {
            return;
        };
        let pending = std::mem::take(&mut file.pending);
        let due_blocks: BTreeMap<u64, u64> = pending
            .iter()
            .filter(|pending| is_due(pending.operation))
            .filter_map(|pending| match pending.change {
                Change::Block { block, .. } => Some((block, pending.operation)),
                Change::Cut { .. } => None,
            })
            .collect();
        for change in pending {
            if is_due(change.operation) {
                apply(&mut file.durable, &change.change, Fate::Kept);
                continue;
            }
            let is_overtaken = match &change.change {
                Change::Block { block, .. } => {
                    due_blocks.get(block).is_some_and(|settled| *settled > change.operation)
                }
                Change::Cut { .. } => false,
            };
            if !is_overtaken {
                file.pending.push(change);
            }
        }
    }

    fn settle_names(&mut self, until: u64) {
        for change in std::mem::take(&mut self.pending_names) {
            if change.operation <= until {
                rename_in(&mut self.durable_names, &change);
            } else {
                self.pending_names.push(change);
            }
        }
    }

    pub(crate) fn pending(&self) -> usize {
        let changes: usize = self.files.values().map(|file| file.pending.len()).sum();
        changes + self.pending_names.len()
    }

    pub(crate) fn crash(&mut self, mut decide: impl FnMut(Pending<'_>) -> Fate) {
        let mut names = std::mem::take(&mut self.durable_names);
        for change in std::mem::take(&mut self.pending_names) {
            let name = change.to.as_ref().or(change.from.as_ref());
            let name = name.map(String::as_str).unwrap_or_default();
            if decide(Pending::Name { name }) == Fate::Kept {
                rename_in(&mut names, &change);
            }
        }
        for file in self.files.values_mut() {
            for pending in std::mem::take(&mut file.pending) {
                let about = match &pending.change {
                    Change::Block { block, .. } => {
                        Pending::Block { file: &pending.name, block: *block }
                    }
                    Change::Cut { .. } => Pending::Cut { file: &pending.name },
                };
                let fate = decide(about);
                apply(&mut file.durable, &pending.change, fate);
            }
            file.seen.clone_from(&file.durable);
        }
        self.start_over(names.clone());
        self.durable_names = names;
    }

    pub(crate) fn kill(&mut self) {
        self.start_over(self.names.clone());
    }

    fn start_over(&mut self, names: BTreeMap<String, u64>) {
        let durable = &self.durable_names;
        let used: BTreeSet<u64> = names.values().chain(durable.values()).copied().collect();
        self.files.retain(|id, _| used.contains(id));
        self.names = names;
        self.life += 1;
        self.in_flight.clear();
        self.halt_in(0);
        self.faults.clear();
    }

    pub(crate) fn check(&self, file: &MemoryFile) -> Result<(), io::ErrorKind> {
        if file.life == self.life && self.files.contains_key(&file.id) {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe)
        }
    }

    pub(crate) fn list(&self) -> Vec<FileInfo> {
        let infos = self.names.iter().map(|(name, id)| FileInfo {
            name: name.clone(),
            bytes: self.files.get(id).map_or(0, |file| u64_from(file.seen.len())),
        });
        infos.collect()
    }

    pub(crate) fn create(&mut self, name: &str) -> Result<u64, io::ErrorKind> {
        if self.is_full(0) {
            return Err(io::ErrorKind::StorageFull);
        }
        self.last_file += 1;
        let file = self.last_file;
        self.files.insert(file, FileState::default());
        self.change_name(None, Some(name), file);
        Ok(file)
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Result<(), io::ErrorKind> {
        let file = *self.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        self.change_name(Some(from), Some(to), file);
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) -> Result<(), io::ErrorKind> {
        let file = *self.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        self.change_name(Some(name), None, file);
        Ok(())
    }

    fn change_name(&mut self, from: Option<&str>, to: Option<&str>, file: u64) {
        let change = NameChange {
            operation: self.last_operation,
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            file,
        };
        rename_in(&mut self.names, &change);
        self.pending_names.push(change);
    }

    pub(crate) fn wear_out(&mut self, name: &str, block: u64) {
        let file = self.names.get(name).and_then(|id| self.files.get_mut(id));
        if let Some(file) = file {
            file.worn_out.insert(block);
        }
    }

    pub(crate) fn check_readable(
        &self,
        file: u64,
        offset: u64,
        len: usize,
    ) -> Result<(), io::ErrorKind> {
        let block = |at: u64| at / u64_from(BLOCK_BYTES);
        let wanted = block(offset)..block(offset + u64_from(len.max(1)) - 1) + 1;
        let file = self.files.get(&file);
        let is_worn_out = file.is_some_and(|file| file.worn_out.range(wanted).next().is_some());
        if is_worn_out { Err(io::ErrorKind::Other) } else { Ok(()) }
    }

    pub(crate) fn read(&self, file: u64, offset: u64, into: &mut [u8]) -> usize {
        let seen = self.files.get(&file).map_or(&[][..], |file| file.seen.as_slice());
        let rest = seen.get(usize_from(offset)..).unwrap_or_default();
        let len = rest.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..len), rest.get(..len)) {
            to.copy_from_slice(from);
        }
        len
    }

    pub(crate) fn write(
        &mut self,
        file: u64,
        name: &str,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), io::ErrorKind> {
        let len = self.files.get(&file).map_or(0, |file| u64_from(file.seen.len()));
        let grows = (offset + u64_from(bytes.len())).saturating_sub(len);
        if grows > 0 && self.is_full(grows) {
            return Err(io::ErrorKind::StorageFull);
        }
        let operation = self.last_operation;
        let Some(file) = self.files.get_mut(&file) else {
            return Err(io::ErrorKind::BrokenPipe);
        };
        let first = offset / u64_from(BLOCK_BYTES);
        for (block, bytes) in (first..).zip(bytes.chunks(BLOCK_BYTES)) {
            file.worn_out.remove(&block);
            let change = Change::Block { block, bytes: bytes.to_vec() };
            apply(&mut file.seen, &change, Fate::Kept);
            file.pending.push(PendingChange { operation, name: name.to_owned(), change });
        }
        Ok(())
    }

    /// Grows a file by zeros.
    pub(crate) fn allocate(
        &mut self,
        file: u64,
        name: &str,
        bytes: u64,
    ) -> Result<(), io::ErrorKind> {
        let len = self.files.get(&file).map_or(0, |file| u64_from(file.seen.len()));
        let zeros = vec![0; usize_from(bytes.saturating_sub(len))];
        self.write(file, name, len, &zeros)
    }

    /// Moves what an operation wrote to another place.
    fn displace(&mut self, operation: u64, blocks: u64) {
        for file in self.files.values_mut() {
            for pending in &mut file.pending {
                if let Change::Block { block, .. } = &mut pending.change
                    && pending.operation == operation
                {
                    *block += blocks;
                }
            }
            file.seen.clone_from(&file.durable);
            for pending in &file.pending {
                apply(&mut file.seen, &pending.change, Fate::Kept);
            }
        }
    }

    pub(crate) fn cut(&mut self, file: u64, name: &str, bytes: u64) {
        let operation = self.last_operation;
        if let Some(file) = self.files.get_mut(&file) {
            let change = Change::Cut { bytes };
            apply(&mut file.seen, &change, Fate::Kept);
            file.pending.push(PendingChange { operation, name: name.to_owned(), change });
        }
    }

    fn is_full(&self, more: u64) -> bool {
        // What has no name any more is space again.
        let named = self.names.values().filter_map(|id| self.files.get(id));
        let used: u64 = named.map(|file| u64_from(file.seen.len())).sum();
        self.capacity.is_some_and(|capacity| used + more > capacity)
    }

    pub(crate) fn edit<R>(
        &mut self,
        name: &str,
        edit: impl FnOnce(&mut Vec<u8>) -> R,
    ) -> Option<R> {
        let file = self.files.get_mut(self.names.get(name)?)?;
        let result = edit(Rc::make_mut(&mut file.seen));
        file.durable.clone_from(&file.seen);
        file.pending.clear();
        Some(result)
    }

    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        Some(self.files.get(self.names.get(name)?)?.seen.as_slice())
    }

    pub(crate) fn put(&mut self, name: &str, bytes: Option<Vec<u8>>) {
        let Some(bytes) = bytes else {
            self.names.remove(name);
            self.durable_names.remove(name);
            return;
        };
        self.last_file += 1;
        let bytes = Rc::new(bytes);
        let file = FileState {
            durable: Rc::clone(&bytes),
            seen: bytes,
            pending: Vec::new(),
            worn_out: BTreeSet::new(),
        };
        self.files.insert(self.last_file, file);
        self.names.insert(name.to_owned(), self.last_file);
        self.durable_names.insert(name.to_owned(), self.last_file);
    }
}

fn split(result: Result<Effect, io::ErrorKind>) -> (Effect, Result<(), io::ErrorKind>) {
    match result {
        Ok(effect) => (effect, Ok(())),
        Err(kind) => (Effect::Nothing, Err(kind)),
    }
}

fn rename_in(names: &mut BTreeMap<String, u64>, change: &NameChange) {
    if let Some(from) = &change.from
        && names.get(from) == Some(&change.file)
    {
        names.remove(from);
    }
    if let Some(to) = &change.to {
        names.insert(to.clone(), change.file);
    }
}

fn apply(content: &mut Rc<Vec<u8>>, change: &Change, fate: Fate) {
    let sectors = match fate {
        Fate::Lost => return,
        Fate::Kept => u8::MAX,
        Fate::Torn(sectors) => sectors,
    };
    let content = Rc::make_mut(content);
    match change {
        Change::Cut { bytes } if fate == Fate::Kept => content.truncate(usize_from(*bytes)),
        Change::Cut { .. } => {}
        Change::Block { block, bytes } => {
            let start = usize_from(*block) * BLOCK_BYTES;
            if content.len() == start && sectors == u8::MAX {
                content.extend_from_slice(bytes);
                return;
            }
            if content.len() < start + bytes.len() {
                content.resize(start + bytes.len(), 0);
            }
            for (sector, bytes) in bytes.chunks(SECTOR_BYTES).enumerate() {
                if sectors >> sector & 1 == 1 {
                    let at = start + sector * SECTOR_BYTES;
                    if let Some(place) = content.get_mut(at..at + bytes.len()) {
                        place.copy_from_slice(bytes);
                    }
                }
            }
        }
    }
}
