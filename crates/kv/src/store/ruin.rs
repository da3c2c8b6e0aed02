//! A store that nobody needs any more, dropped bit by bit: to free five million
//! keys takes a second, and the shard has other things to do.

use crate::store::Store;
use crate::store::deadlines::Deadlines;
use crate::store::entry::Entry;
use crate::store::table::Table;
use crate::value::Value;

/// Keys, elements or deadlines that one step drops: some 20 µs. A runtime may
/// run some sixty steps before it looks at its sockets.
const STEP_ITEMS_MAX: usize = 64;

/// What is left of a store.
#[derive(Debug)]
pub(crate) struct Ruin {
    entries: Table<Entry>,
    deadlines: Deadlines,
    /// Collections that take more than a step.
    large: Vec<Value>,
}

impl Store {
    /// Gives the store up; a capture of it ends.
    pub(crate) fn into_ruin(self) -> Ruin {
        Ruin { entries: self.entries, deadlines: self.deadlines, large: Vec::new() }
    }
}

impl Ruin {
    /// Drops some of it. False: nothing is left.
    pub(crate) fn shed(&mut self) -> bool {
        if let Some(value) = self.large.last_mut() {
            if !value.watched().is_some_and(|watched| watched.shed(STEP_ITEMS_MAX)) {
                self.large.pop();
            }
            return true;
        }
        if let Some(entries) = self.entries.take_apart(STEP_ITEMS_MAX) {
            let values = entries.map(|entry| entry.value);
            self.large.extend(values.filter(|value| value.elements_len() > STEP_ITEMS_MAX));
            return true;
        }
        self.deadlines.shed(STEP_ITEMS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use crate::operation::hash::{HashChange, HashCommand};
    use crate::operation::string::StringCommand;
    use crate::store::{Applied, Store};
    use raftlet::core::Index;

    #[test]
    fn a_ruin_is_gone_after_as_many_steps_as_it_has_parts() {
        let mut store = Store::new(1);
        let mut apply = |nth: u64, command: &crate::Command<Vec<u8>>| {
            store.apply(Applied { index: Index::new(nth), log_time_ms: 1 }, command);
        };
        for nth in 0..4_000_u64 {
            let key = nth.to_string().into_bytes();
            let field = HashChange::Set(vec![(key.clone(), key.clone())]);
            apply(nth + 1, &StringCommand::Set { key, value: vec![1] }.into());
            apply(nth + 1, &HashCommand { key: b"large".to_vec(), change: field }.into());
        }
        let mut ruin = store.into_ruin();
        let mut steps = 0;
        while ruin.shed() {
            steps += 1;
        }
        // 4 000 keys and as many fields.
        assert!((110..150).contains(&steps), "{steps} steps");
    }
}
