//! Opening a log: recovery, then the first segment of this run.
//!
//! A run never appends to a file of a former one. It starts a segment of its
//! own whose link states how the former log ended; once that link is durable
//! the judgement is permanent, and blocks of a torn write can never be taken
//! for frames again. What the judgement relies on is flushed before: a killed
//! process may have left its last write in the device's cache.
//!
//! Order: recovery (read-only) → flush → what is surely of no use removed →
//! segment made, named, noted → link durable → the former segment's unused end
//! cut off, other leftovers removed → reserve. Killed between any two, the next
//! start ends in the same state.
//!
//! A full disk does not keep a log from opening: files of no use go first, a
//! segment that nobody needs becomes the first one, and else the reserve gives
//! way (`reserve.rs`).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::allowance::Allowance;
use crate::append::Purpose;
use crate::collect::{SPARES_MAX, free_segments};
use crate::disk::{Disk, DiskError};
use crate::error::OpenError;
use crate::gate::{Bell, Gate};
use crate::identity::Home;
use crate::index::Groups;
use crate::landing::Landing;
use crate::names::{self, Named};
use crate::options::{LogCounters, LogOptions, Sizes};
use crate::plan::{FramePlan, Packer, Plan};
use crate::record::{Ending, Item, Link, put_echo};
use crate::recovery::losses::{Harmed, Remedy};
use crate::recovery::{Recovered, RecoveryReport, recover};
use crate::reserve::{Reserve, Share};
use crate::scan::offset_of;
use crate::segment::{self, FIRST_BLOCK};
use crate::shard_log::{Chore, Segment, ShardLog, Shared, Spare, State};
use crate::wanted::Snapshots;
use raftlet::core::{Generation, GroupId};

/// Blocks of a first segment for more than its link where the device is full:
/// terms and votes of some elections. A start that is repeated must not use the
/// reserve up.
const LEAN_BLOCKS: u32 = 16;

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
        let mut recovered = recover(&disk, &home, &sizes).await?;
        let report = recovered.report.clone();
        let mut counters = LogCounters::default();
        if let Some(file) = &recovered.newest_file {
            disk.flush(file).await.map_err(OpenError::Unwritable)?;
            counters.prepare_flushes += 1;
        }
        let mut spares = make_way(&disk, &home, &mut recovered).await?;
        let largest = largest_snapshot(&disk, &sizes, &recovered.groups).await;
        let mut reserve = Reserve::find(&disk, &sizes, largest).await;
        let number = recovered.highest_number + 1;
        let (file, written) = first_file(&disk, number, spares.pop(), &mut reserve).await?;
        let incarnation = home.identity().incarnation;
        let first = Segment {
            number,
            stamp: segment::stamp(incarnation, sizes.shard, number),
            file,
            blocks: sizes.first.max(written),
            filled: written,
            written,
        };
        let harmed = recovered.harmed.clone();
        let state = begin(recovered, first, (spares, reserve), counters);
        let log = Self(Rc::new(Shared {
            disk,
            home,
            sizes,
            state: RefCell::new(state),
            device: Gate::default(),
            prepare: Gate::default(),
            reserving: Gate::default(),
            bell: Rc::new(Bell::default()),
            ahead: Allowance::default(),
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
        let needed = plan.blocks_max(self.state.borrow().echo.len());
        first.blocks = first.blocks.max(FIRST_BLOCK + needed + 1);
        let mut blocks = self.sizes.prepare.max(FIRST_BLOCK + needed + 1);
        while let Err(error) = self.make_first(&mut first, blocks).await {
            blocks = FIRST_BLOCK + needed + LEAN_BLOCKS;
            if !error.is_no_space() || !self.give_way(offset_of(blocks), Share::All).await {
                return Err(OpenError::from_write(error));
            }
        }
        let number = first.number;
        self.state.borrow_mut().active = first;
        if let Err(error) = self.write_frames(plan, Purpose::Batch, &mut Vec::new()).await {
            return Err(OpenError::Unwritable(DiskError {
                operation: "write",
                file: names::segment_name(number),
                offset: offset_of(FIRST_BLOCK),
                kind: std::io::ErrorKind::Other,
                cause: error.to_string(),
                is_of_medium: false,
            }));
        }
        self.do_chores().await;
        self.mend_reserve().await;
        Ok(())
    }

    /// Fills the first segment up to `blocks` and gives it its name.
    async fn make_first(&self, first: &mut Segment<D>, blocks: u32) -> Result<(), DiskError> {
        self.fill(first, blocks.saturating_sub(first.filled)).await?;
        self.publish(first).await
    }
}

/// Removes files that are of no use whatever this run does, and lets go of
/// segments that nobody needs; returns some of those, to be used again. Where
/// something is damaged all of that waits until the link says so.
async fn make_way<D: Disk>(
    disk: &D,
    home: &Home<D>,
    recovered: &mut Recovered<D>,
) -> Result<Vec<Spare>, OpenError> {
    let is_sound = recovered.harmed.is_empty() && recovered.report.damage.is_empty();
    let oldest = home.oldest_segment();
    for name in std::mem::take(&mut recovered.leftovers) {
        let is_useless = match names::read_name(&name) {
            Named::Spare => true,
            Named::Segment(number) => number < oldest,
            Named::Snapshot(..) | Named::Condemned(..) => is_sound,
            Named::Known | Named::Restore | Named::Foreign => false,
        };
        if !is_useless || disk.remove(&name).await.is_err() {
            recovered.leftovers.push(name);
        }
    }
    // The newest one holds the end that the link names.
    let ended = recovered.segments.len().saturating_sub(1);
    let free = free_segments(&recovered.segments, &recovered.groups).min(ended);
    let oldest = recovered.segments.get(free).copied();
    let Some(oldest) = oldest.filter(|_| free > 0 && is_sound) else {
        return Ok(Vec::new());
    };
    home.note_oldest_segment(oldest.number, recovered.has_unknown_losses)
        .await
        .map_err(OpenError::Unwritable)?;
    let freed = recovered.segments.drain(..free);
    let mut spares: Vec<Spare> =
        freed.map(|freed| Spare { number: freed.number, blocks: freed.end }).collect();
    for spare in spares.split_off(spares.len().min(SPARES_MAX)) {
        recovered.leftovers.push(names::segment_name(spare.number));
    }
    Ok(spares)
}

/// The file of a run's first segment, and how much of it is written.
async fn first_file<D: Disk>(
    disk: &D,
    number: u64,
    spare: Option<Spare>,
    reserve: &mut Reserve<D>,
) -> Result<(D::File, u32), OpenError> {
    let name = names::spare_name(number);
    if let Some(spare) = spare {
        let freed = names::segment_name(spare.number);
        disk.rename(&freed, &name).await.map_err(OpenError::from_write)?;
        let file = disk.open(&name).await.map_err(OpenError::Unreadable)?;
        return Ok((file, spare.blocks));
    }
    loop {
        match disk.create(&name).await {
            Ok(file) => return Ok((file, 0)),
            Err(error) if error.is_no_space() && reserve.give_way(disk, 0, Share::All).await => {}
            Err(error) => return Err(OpenError::from_write(error)),
        }
    }
}

/// Whose current snapshot is the largest, with its bytes. What cannot be told
/// is learnt from the next one.
async fn largest_snapshot<D: Disk>(
    disk: &D,
    sizes: &Sizes,
    groups: &Groups,
) -> Option<(GroupId, u64)> {
    if sizes.reserve_file == 0 {
        return None;
    }
    let files = disk.list().await.ok()?;
    let sizes = files.into_iter().filter_map(|file| match names::read_name(&file.name) {
        Named::Snapshot(group, last) => {
            let is_current = groups.get(&group).is_some_and(|it| it.snapshot == Some(last));
            is_current.then_some((group, file.bytes))
        }
        _ => None,
    });
    sizes.max_by_key(|(_, bytes)| *bytes)
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
        frames.push(FramePlan::of(Vec::new()));
    }
    Plan { frames, ..Plan::default() }
}

/// The state from which a run starts.
fn begin<D: Disk>(
    recovered: Recovered<D>,
    first: Segment<D>,
    (spares, reserve): (Vec<Spare>, Reserve<D>),
    counters: LogCounters,
) -> State<D> {
    let newest = recovered.segments.last().copied();
    let mut echo = Vec::new();
    put_echo(&mut echo, &recovered.directory);
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
        forsaken: BTreeMap::new(),
        finished: recovered.segments,
        highest_number: first.number,
        active: first,
        next_block: FIRST_BLOCK,
        last_frame: recovered.last_frame,
        echo,
        landing: Landing::default(),
        link: Some(link),
        after_link,
        chores: Vec::new(),
        next: None,
        fresh: None,
        spares,
        reserve,
        was_short: false,
        readers: BTreeMap::new(),
        pins: Vec::new(),
        stranded: BTreeSet::new(),
        unreadable: Vec::new(),
        has_unknown_losses: recovered.has_unknown_losses,
        is_burden_unknown: true,
        is_marked: false,
        is_writing: false,
        poison: None,
        buffer: None,
        zeros: None,
        kept_read: None,
        remembered: recovered.remembered,
        counters: LogCounters { segments_used: 1, ..counters },
    }
}
