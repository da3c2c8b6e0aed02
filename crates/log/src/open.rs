//! Opening a log: recovery, then the first segment of this run.
//!
//! A run never appends to a file of a former one. It starts a segment of its
//! own whose link states how the former log ended; once that link is durable
//! the judgement is permanent, and blocks of a torn write can never be taken
//! for frames again. What the judgement relies on is flushed before: a killed
//! process may have left its last write in the device's cache.
//!
//! Order: recovery (read-only) → flush → segment made, named, noted → link
//! durable → the former segment's unused end cut off, leftovers removed. Killed
//! between any two, the next start ends in the same state.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::append::{Purpose, echo_of};
use crate::disk::Disk;
use crate::error::OpenError;
use crate::gate::{Bell, Gate};
use crate::identity::Home;
use crate::names;
use crate::options::{LogCounters, LogOptions, Sizes};
use crate::plan::{Packer, Plan};
use crate::record::{Ending, Item, Link};
use crate::recovery::losses::{Harmed, Remedy};
use crate::recovery::{Recovered, RecoveryReport, recover};
use crate::scan::offset_of;
use crate::segment::{self, FIRST_BLOCK};
use crate::shard_log::{Chore, Segment, ShardLog, Shared, State};
use crate::wanted::Snapshots;
use raftlet::core::Generation;

impl<D: Disk> ShardLog<D> {
    /// Reads what survived and makes the log ready to write.
    ///
    /// # Errors
    /// [`OpenError`]: nothing may be believed of this log, and nothing was
    /// changed unless the disk failed.
    pub async fn open(
        disk: D,
        home: Home<D>,
        options: &LogOptions,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let sizes = Sizes::from(options);
        let recovered = recover(&disk, &home, &sizes).await?;
        let report = recovered.report.clone();
        let mut counters = LogCounters::default();
        if let Some(file) = &recovered.newest_file {
            disk.flush(file).await.map_err(OpenError::Unwritable)?;
            counters.prepare_flushes += 1;
        }
        let number = recovered.highest_number + 1;
        let name = names::spare_name(number);
        let file = disk.create(&name).await.map_err(OpenError::from_write)?;
        let incarnation = home.identity().incarnation;
        let first = Segment {
            number,
            stamp: segment::stamp(incarnation, sizes.shard, number),
            file,
            blocks: sizes.first,
            filled: 0,
            written: 0,
        };
        let harmed = recovered.harmed.clone();
        let state = begin(recovered, first, counters);
        let log = Self(Rc::new(Shared {
            disk,
            home,
            sizes,
            state: RefCell::new(state),
            device: Gate::default(),
            prepare: Gate::default(),
            bell: Rc::new(Bell::default()),
        }));
        log.0.start(&harmed).await?;
        Ok((log, report))
    }
}

impl<D: Disk> Shared<D> {
    /// Makes the first segment and writes its link, with what is wrong.
    async fn start(&self, harmed: &[Harmed]) -> Result<(), OpenError> {
        let mut first = self.state.borrow().active.clone();
        let plan = about(harmed);
        let needed = plan.blocks_max(echo_of(&self.state.borrow()).len());
        first.blocks = first.blocks.max(FIRST_BLOCK + needed + 1);
        let blocks = self.sizes.prepare.max(FIRST_BLOCK + needed + 1);
        self.fill(&mut first, blocks).await.map_err(OpenError::from_write)?;
        self.publish(&mut first).await.map_err(OpenError::from_write)?;
        let number = first.number;
        self.state.borrow_mut().active = first;
        if let Err(error) = self.write_frames(plan, Purpose::Batch).await {
            return Err(OpenError::Unwritable(crate::disk::DiskError {
                operation: "write",
                file: names::segment_name(number),
                offset: offset_of(FIRST_BLOCK),
                kind: std::io::ErrorKind::Other,
                cause: error.to_string(),
            }));
        }
        self.do_chores().await;
        Ok(())
    }
}

/// The first frames of a run: its link, and what damage means for groups, so
/// that it is known when the damaged segment is gone.
fn about(harmed: &[Harmed]) -> Plan {
    let mut packer = Packer::default();
    for Harmed { group, state, remedy } in harmed {
        // A group of which nothing is known cannot be stated.
        if state.generation == Generation::default() {
            continue;
        }
        packer.push(Item::State { group: *group, state: Box::new(*state) });
        packer.push(match remedy {
            Remedy::Damage(harm) => Item::Damage { group: *group, harm: *harm },
            Remedy::Compact(base) => Item::Compact { group: *group, base: *base },
        });
    }
    let mut frames = packer.finish();
    if frames.is_empty() {
        frames.push(Vec::new());
    }
    Plan { frames, ..Plan::default() }
}

/// The state from which a run starts.
fn begin<D: Disk>(recovered: Recovered<D>, first: Segment<D>, counters: LogCounters) -> State<D> {
    let newest = recovered.segments.last().copied();
    let link = Link {
        predecessor: newest.map_or(0, |newest| newest.number),
        last_frame: recovered.last_frame,
        end_block: newest.map_or(0, |newest| newest.end),
        ending: newest.map_or(Ending::First, |_| recovered.ending),
        oldest_live: recovered.segments.first().map_or(first.number, |oldest| oldest.number),
    };
    let mut after_link: Vec<Chore<D>> = recovered
        .leftovers
        .into_iter()
        .filter(|name| *name != names::spare_name(first.number))
        .map(|name| Chore::Remove { name })
        .collect();
    // Garbled blocks are kept where they are, as evidence.
    if let (Some(file), Some(newest), false) =
        (recovered.newest_file, newest, recovered.has_evidence)
    {
        let bytes = offset_of(newest.end);
        after_link.push(Chore::Cut { number: newest.number, file, bytes });
    }
    State {
        groups: recovered.groups,
        snapshots: Snapshots::default(),
        finished: recovered.segments,
        highest_number: first.number,
        active: first,
        next_block: FIRST_BLOCK,
        last_frame: recovered.last_frame,
        directory: recovered.directory,
        link: Some(link),
        after_link,
        chores: Vec::new(),
        next: None,
        fresh: None,
        spares: Vec::new(),
        readers: BTreeMap::new(),
        pins: Vec::new(),
        has_unknown_losses: recovered.has_unknown_losses,
        is_burden_unknown: true,
        is_marked: false,
        is_writing: false,
        poison: None,
        buffer: None,
        read_buffer: None,
        counters: LogCounters { segments_used: 1, ..counters },
    }
}
