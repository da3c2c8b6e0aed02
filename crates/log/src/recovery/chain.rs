//! Which segments make up the log? Lists them, reads their heads, and follows
//! the links from the newest one back.
//!
//! Invariants
//! - A segment that is missing, foreign or doubled is an error by name.
//! - A segment is void only if its first frame was torn, which is judged as
//!   strictly as any tail, or if a later link passed over it.
//! - A segment whose first frame is lost has lost its link. Then the next older
//!   segment with a frame comes before it, and the numbers of frames tell
//!   whether anything between them is missing (`recovery/replay.rs`).

use crate::block::{BLOCK_BYTES, Kind, Verdict};
use crate::disk::Disk;
use crate::error::{Damage, OpenError};
use crate::names::{self, Named};
use crate::record::{Ending, Link, Record};
use crate::recovery::{Place, READ_BYTES, damaged, unknown_format, unreadable_record};
use crate::scan::Scan;
use crate::segment::{FIRST_BLOCK, Head, HeadError};
use crate::width::u64_from;
use raftlet::core::{GroupId, LogId, Run};

/// Both copies of a head.
const HEAD_BYTES: usize = FIRST_BLOCK as usize * BLOCK_BYTES;
/// First frames are small; most are one or two blocks. What is not, is read on in
/// reads that double.
const PEEK_BLOCKS: u32 = 8;

/// A file that bears the name of a segment.
#[derive(Debug)]
pub(crate) struct Listed {
    number: u64,
    bytes: u64,
    /// Or why it is not one of this log.
    head: Result<Option<Head>, OpenError>,
    warnings: Vec<String>,
}

/// What the directory holds.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Ascending.
    segments: Vec<Listed>,
    /// Segments and snapshots that were never finished.
    pub(crate) spares: Vec<String>,
    /// Finished snapshots, in use or not.
    pub(crate) snapshots: Vec<(GroupId, LogId)>,
    /// Snapshots that were found damaged.
    pub(crate) condemned: Vec<(GroupId, LogId)>,
    pub(crate) highest_number: u64,
    pub(crate) warnings: Vec<String>,
}

/// A segment of the log and how the one before it ended.
#[derive(Debug)]
pub(crate) struct Linked {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    pub(crate) run: Option<Run>,
    /// Its link and the number of its first frame; `None` when that is lost.
    pub(crate) first: Option<(Link, u64)>,
    pub(crate) is_self_contained: bool,
}

impl Linked {
    /// How the segment before ended, if that is known.
    pub(crate) fn link(&self) -> Option<&Link> {
        self.first.as_ref().map(|(link, _)| link)
    }
}

/// Which segment is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// The newest one with a frame.
    Newest,
    /// The one that a link names.
    Named(u64),
    /// The next one with a frame: the link to it is lost.
    Next,
}

/// The log, and the files beside it that hold nothing.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Oldest first.
    pub(crate) segments: Vec<Linked>,
    pub(crate) void: Vec<u64>,
    /// Below the oldest that is needed.
    pub(crate) stale: Vec<u64>,
}

/// Lists the directory and reads the heads.
pub(crate) async fn list<D: Disk>(place: &Place<D>) -> Result<Listing, OpenError> {
    let files = place.disk.list().await.map_err(OpenError::Unreadable)?;
    let noted = place.home.newest_segment();
    let mut listing = Listing {
        segments: Vec::new(),
        spares: Vec::new(),
        snapshots: Vec::new(),
        condemned: Vec::new(),
        highest_number: noted,
        warnings: Vec::new(),
    };
    for file in files {
        match names::read_name(&file.name) {
            Named::Segment(number) => {
                let mut warnings = Vec::new();
                let head = read_head(place, number, file.bytes, &mut warnings).await;
                listing.highest_number = listing.highest_number.max(number);
                listing.segments.push(Listed { number, bytes: file.bytes, head, warnings });
            }
            Named::Spare => listing.spares.push(file.name),
            Named::Snapshot(group, last) => listing.snapshots.push((group, last)),
            Named::Condemned(group, last) => listing.condemned.push((group, last)),
            Named::Known | Named::Restore => {}
            Named::Foreign => {
                let warning = format!("{} is not a file of this program; it is ignored", file.name);
                listing.warnings.push(warning);
            }
        }
    }
    listing.segments.sort_by_key(|listed| listed.number);
    if noted > listing.segments.last().map_or(0, |listed| listed.number) {
        return Err(OpenError::MissingSegment {
            file: names::segment_name(noted),
            named_by: "IDENTITY".to_owned(),
        });
    }
    Ok(listing)
}

/// Reads the head of a segment from whichever copy is whole, and checks whose
/// it is.
async fn read_head<D: Disk>(
    place: &Place<D>,
    number: u64,
    bytes: u64,
    warnings: &mut Vec<String>,
) -> Result<Option<Head>, OpenError> {
    let mut scan = place.scan(number, bytes, HEAD_BYTES).await?;
    let name = names::segment_name(number);
    let mut head = None;
    for at in 0..FIRST_BLOCK {
        let block = scan.block(at).await.map_err(OpenError::Unreadable)?;
        match block.map_or(Err(HeadError::Damaged), |block| Head::decode(block, at)) {
            Ok(found) => head = Some(found),
            Err(HeadError::UnknownFormat(found)) => return Err(unknown_format(&name, found)),
            Err(HeadError::Damaged) => {
                warnings.push(format!("copy {at} of the head of {name} is damaged"));
            }
        }
    }
    if let Some(head) = &head {
        check_owner(place, &name, number, head)?;
    }
    Ok(head)
}

fn check_owner<D: Disk>(
    place: &Place<D>,
    name: &str,
    number: u64,
    head: &Head,
) -> Result<(), OpenError> {
    let identity = place.home.identity();
    let expected = Head::new(&identity, place.sizes.shard, number, (0, 0));
    let fields = [
        ("cluster", head.cluster.to_string(), expected.cluster.to_string()),
        ("node id", head.node.to_string(), expected.node.to_string()),
        ("directory", head.incarnation.to_string(), expected.incarnation.to_string()),
        ("shard", head.shard.0.to_string(), expected.shard.0.to_string()),
        ("number", names::segment_name(head.number), names::segment_name(number)),
    ];
    match fields.into_iter().find(|(_, found, expected)| found != expected) {
        None => Ok(()),
        Some((field, found, expected)) => {
            Err(OpenError::Foreign { file: name.to_owned(), field, found, expected })
        }
    }
}

/// Follows the links from the newest segment with a frame.
pub(crate) async fn follow<D: Disk>(
    place: &Place<D>,
    listing: &mut Listing,
) -> Result<Chain, OpenError> {
    let mut chain = Chain { segments: Vec::new(), void: Vec::new(), stale: Vec::new() };
    let mut oldest_live = place.home.oldest_segment();
    let mut wanted = Wanted::Newest;
    for listed in listing.segments.iter().rev() {
        if listed.number < oldest_live {
            chain.stale.push(listed.number);
            continue;
        }
        match wanted {
            Wanted::Named(wanted) if listed.number > wanted => {
                chain.void.push(listed.number);
                continue;
            }
            Wanted::Named(wanted) if listed.number < wanted => break,
            Wanted::Named(_) | Wanted::Newest | Wanted::Next => {}
        }
        listing.warnings.extend(listed.warnings.iter().cloned());
        let head = listed.head.clone()?;
        let scan = place.scan(listed.number, listed.bytes, READ_BYTES).await?;
        let mut scan = scan.growing_from(PEEK_BLOCKS);
        let first = first_link(&mut scan).await?;
        if first.is_none() && is_void(&mut scan, listed, head.as_ref(), wanted).await? {
            chain.void.push(listed.number);
            continue;
        }
        if let Some((link, _)) = &first {
            oldest_live = oldest_live.max(link.oldest_live);
        }
        wanted = first.as_ref().map_or(Wanted::Next, |(link, _)| Wanted::Named(link.predecessor));
        chain.segments.push(Linked {
            number: listed.number,
            bytes: listed.bytes,
            run: head.as_ref().map(|head| head.run),
            first,
            is_self_contained: head.is_some_and(|head| head.version >= 2),
        });
    }
    if let Some(oldest) = chain.segments.last() {
        check_oldest(place, oldest, oldest_live).await?;
    }
    chain.segments.reverse();
    Ok(chain)
}

/// Whether a segment without a whole first frame holds nothing that counts;
/// if not, that frame is lost.
async fn is_void<D: Disk>(
    scan: &mut Scan<D>,
    listed: &Listed,
    head: Option<&Head>,
    wanted: Wanted,
) -> Result<bool, OpenError> {
    // A link says that it had frames.
    if matches!(wanted, Wanted::Named(_)) {
        return Ok(false);
    }
    // All of it, once: mostly it was made ahead and is blank to its end.
    scan.go_on_within(u32::try_from(listed.bytes / u64_from(BLOCK_BYTES)).unwrap_or(u32::MAX));
    let Some(met) = look_through(scan).await? else {
        return Ok(false);
    };
    match wanted {
        // If it had any frames, their numbers will be missed.
        Wanted::Next => Ok(true),
        Wanted::Newest | Wanted::Named(_) => {
            check_void(scan, listed, head, met).await.map(|()| true)
        }
    }
}

/// Nothing that is needed comes before the oldest segment that was found.
async fn check_oldest<D: Disk>(
    place: &Place<D>,
    oldest: &Linked,
    oldest_live: u64,
) -> Result<(), OpenError> {
    let is_first = oldest.number <= oldest_live.max(1);
    match oldest.link() {
        Some(link) if link.predecessor != 0 && !is_first => Err(OpenError::MissingSegment {
            file: names::segment_name(link.predecessor),
            named_by: names::segment_name(oldest.number),
        }),
        None if !is_first => {
            let mut scan = place.scan(oldest.number, oldest.bytes, READ_BYTES).await?;
            let what = "its first frame cannot be read, and which segment comes before it is \
                        not known";
            Err(damaged(&mut scan, FIRST_BLOCK, 0, what.to_owned()).await)
        }
        _ => Ok(()),
    }
}

/// The link in the first frame, and that frame's number; `None` when the frame
/// is not whole.
async fn first_link<D: Disk>(scan: &mut Scan<D>) -> Result<Option<(Link, u64)>, OpenError> {
    let frame = scan.frame(FIRST_BLOCK).await.map_err(OpenError::Unreadable)?;
    let Some(frame) = frame.filter(|frame| frame.header.kind == Kind::Frame) else {
        return Ok(None);
    };
    match frame.payload.records().next() {
        Some(Ok(Record::Link(link))) if is_sound(scan, &link) => {
            Ok(Some((link, frame.header.frame)))
        }
        Some(Err(error)) => Err(unreadable_record(scan, FIRST_BLOCK, error)),
        _ => {
            let what = "its first frame does not link it to the one before".to_owned();
            Err(damaged(scan, FIRST_BLOCK, frame.header.frame, what).await)
        }
    }
}

/// Whether a link leads back and not around.
fn is_sound<D: Disk>(scan: &Scan<D>, link: &Link) -> bool {
    let number = match names::read_name(scan.name()) {
        Named::Segment(number) => number,
        _ => 0,
    };
    let leads_back = link.predecessor < number && link.oldest_live <= number;
    leads_back && (link.predecessor == 0) == (link.ending == Ending::First)
}

/// The first thing of a kind in a segment without whole frames.
#[derive(Debug, Default)]
struct Met {
    /// What speaks against its being void, and where.
    against: Option<(u32, Against)>,
    /// A block that the device cannot give back.
    unread: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Against {
    /// A block that was written when the first frame was durable; the frame that
    /// it proves.
    Later(u64),
    Misplaced,
}

/// What stands in a segment whose first frame is not whole; `None`: another frame
/// is.
async fn look_through<D: Disk>(scan: &mut Scan<D>) -> Result<Option<Met>, OpenError> {
    let mut met = Met::default();
    let mut at = FIRST_BLOCK;
    while let Some(verdict) = scan.judge(at).await.map_err(OpenError::Unreadable)? {
        match verdict {
            Verdict::Valid(header) => {
                let is_start = at > FIRST_BLOCK && header.frame > 0 && header.index == 0;
                if is_start && scan.frame(at).await.map_err(OpenError::Unreadable)?.is_some() {
                    return Ok(None);
                }
                let starts_at = at.checked_sub(u32::from(header.index));
                let is_of_first = header.kind == Kind::Frame && starts_at == Some(FIRST_BLOCK);
                if !is_of_first {
                    met.against.get_or_insert((at, Against::Later(header.proves())));
                }
            }
            Verdict::Misplaced(_) => {
                met.against.get_or_insert((at, Against::Misplaced));
            }
            Verdict::Unreadable => {
                met.unread.get_or_insert(at);
            }
            Verdict::Blank | Verdict::Stranger | Verdict::Garbled => {}
        }
        at += 1;
    }
    Ok(Some(met))
}

/// Shows that nothing in a segment without whole frames was ever acknowledged.
async fn check_void<D: Disk>(
    scan: &mut Scan<D>,
    listed: &Listed,
    head: Option<&Head>,
    met: Met,
) -> Result<(), OpenError> {
    let not_void = |at: u32, what: &str| {
        OpenError::Damaged(Box::new(Damage {
            file: names::segment_name(listed.number),
            offset: crate::scan::offset_of(at),
            what: what.to_owned(),
            affected: Vec::new(),
        }))
    };
    // The head was durable before the file got its name.
    let Some(head) = head else {
        return Err(not_void(0, "both copies of its head and its first frame cannot be read"));
    };
    if listed.bytes < u64::from(head.written_blocks) * u64_from(BLOCK_BYTES) {
        return Err(not_void(0, "it is shorter than it was when it was made"));
    }
    match met.against {
        Some((_, Against::Later(proves))) => {
            let what = "its first frame cannot be read, though a later block follows it";
            return Err(damaged(scan, FIRST_BLOCK, proves, what.to_owned()).await);
        }
        Some((at, Against::Misplaced)) => {
            return Err(not_void(at, "it holds a block written for another place"));
        }
        None => {}
    }
    match met.unread.and_then(|at| scan.why(at)) {
        Some(error) => Err(OpenError::Unreadable(error.clone())),
        None => Ok(()),
    }
}
