//! Claims about who is let in.

use bytes::BytesMut;

use super::{
    Hello, Identity, Known, Refusal, RefusalReason, Standing, Welcome, acceptor_seal, dialler_seal,
    judge_hello, judge_welcome,
};
use raftlet::core::{ClusterId, Incarnation, NodeId, Run, Sender};

fn sender(node: u64, incarnation: u128, run: u64) -> Sender {
    Sender { node: NodeId::new(node), incarnation: Incarnation(incarnation), run: Run::new(run) }
}

fn me() -> Identity {
    Identity { cluster: ClusterId(5), seat: sender(1, 100, 1) }
}

fn hello() -> Hello {
    Hello {
        version_min: 1,
        version_max: 3,
        cluster: ClusterId(5),
        sender: sender(2, 200, 7),
        to: NodeId::new(1),
        nonce: 9,
    }
}

fn welcome() -> Welcome {
    Welcome { version: 1, cluster: ClusterId(5), sender: sender(2, 200, 7), nonce: 10 }
}

fn known() -> Known {
    Known { expected: Some(Incarnation(200)), remembered: Some((Incarnation(200), Run::new(7))) }
}

fn refused(hello: Hello, known: Option<Known>) -> Refusal {
    judge_hello(&me(), &hello, known).unwrap_err()
}

#[test]
fn the_expected_node_is_let_in_from_either_side() {
    let member = Ok(Standing::Member);
    assert_eq!(judge_hello(&me(), &hello(), Some(known())), member);
    let judged = judge_welcome(&me(), NodeId::new(2), &welcome(), known());
    assert_eq!(judged, member);
}

#[test]
fn a_node_of_unknown_incarnation_is_let_in_for_the_roll_call_only() {
    let nothing = Some(Known::default());
    assert_eq!(judge_hello(&me(), &hello(), nothing), Ok(Standing::Newcomer));
}

#[test]
fn a_wiped_node_is_told_to_come_back_under_a_new_id() {
    let wiped = Hello { sender: sender(2, 201, 1), ..hello() };
    let refusal = refused(wiped, Some(known()));
    assert_eq!(refusal.reason, RefusalReason::Incarnation);
    assert!(refusal.text.contains("remove the member, add it under a new id"));
    let answers = Welcome { sender: sender(2, 201, 1), ..welcome() };
    let refusal = judge_welcome(&me(), NodeId::new(2), &answers, known()).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::Incarnation);
}

#[test]
fn an_old_copy_of_a_directory_is_refused_and_the_same_run_is_not() {
    let old = Hello { sender: sender(2, 200, 6), ..hello() };
    assert_eq!(refused(old, Some(known())).reason, RefusalReason::StaleRun);
    assert!(judge_hello(&me(), &hello(), Some(known())).is_ok());
}

#[test]
fn runs_of_another_incarnation_are_not_compared() {
    let known = Known { expected: None, remembered: Some((Incarnation(199), Run::new(50))) };
    assert!(judge_hello(&me(), &hello(), Some(known)).is_ok());
}

#[test]
fn other_clusters_wrong_addresses_doubles_strangers_and_oneself_are_refused_by_name() {
    let reason = |hello| refused(hello, Some(known())).reason;
    let cluster = ClusterId(6);
    assert_eq!(reason(Hello { cluster, ..hello() }), RefusalReason::Cluster);
    let to = NodeId::new(3);
    assert_eq!(reason(Hello { to, ..hello() }), RefusalReason::WrongNode);
    let sender_is = |sender| Hello { sender, ..hello() };
    assert_eq!(reason(sender_is(me().seat)), RefusalReason::SelfConnection);
    assert_eq!(reason(sender_is(sender(1, 777, 1))), RefusalReason::NodeTaken);
    assert_eq!(refused(hello(), None).reason, RefusalReason::Stranger);
    let elsewhere = judge_welcome(&me(), NodeId::new(3), &welcome(), known()).unwrap_err();
    assert_eq!(elsewhere.reason, RefusalReason::WrongNode);
}

#[test]
fn hello_and_welcome_survive_the_wire_and_no_prefix_of_them_passes() {
    let (mut first, mut second) = (BytesMut::new(), BytesMut::new());
    hello().encode(&mut first);
    welcome().encode(&mut second);
    assert_eq!(Hello::decode(&first), Ok(hello()));
    assert_eq!(Welcome::decode(&second), Ok(welcome()));
    for cut in 0..first.len() {
        assert!(Hello::decode(&first[..cut]).is_err());
    }
    for cut in 0..second.len() {
        assert!(Welcome::decode(&second[..cut]).is_err());
    }
}

#[test]
fn a_version_to_come_is_refused_by_name_whatever_follows_it() {
    let mut later = BytesMut::new();
    Hello { version_min: 2, version_max: 9, ..hello() }.encode(&mut later);
    later.truncate(12);
    let refusal = Hello::decode(&later).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::Version);
    assert!(refusal.text.contains("versions 2 to 9"));
}

#[test]
fn what_a_later_version_adds_to_a_hello_is_skipped_and_noise_is_not() {
    let mut longer = BytesMut::new();
    hello().encode(&mut longer);
    longer.extend_from_slice(b"news");
    assert_eq!(Hello::decode(&longer), Ok(hello()));
    let mut noisy = BytesMut::new();
    let version_max = 1;
    Hello { version_max, ..hello() }.encode(&mut noisy);
    noisy.extend_from_slice(b"noise");
    let refusal = Hello::decode(&noisy).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::Malformed);
}

#[test]
fn refusals_survive_the_wire_and_print_harmlessly() {
    let refusal = refused(hello(), None);
    let mut bytes = BytesMut::new();
    refusal.encode(&mut bytes);
    assert_eq!(Refusal::decode(&bytes), Ok(refusal));
    for cut in 0..bytes.len() {
        assert!(Refusal::decode(&bytes[..cut]).is_err());
    }
    let hostile = b"\x63\x00\x05\x00a\x1b[2J";
    let read = Refusal::decode(hostile).unwrap();
    assert_eq!(read.reason, RefusalReason::Other(99));
    assert_eq!(read.text, "a?[2J");
}

#[test]
fn seals_differ_by_direction_nonce_and_run() {
    let seal = dialler_seal(&hello(), &welcome());
    assert_ne!(seal, acceptor_seal(&hello(), &welcome()));
    let nonce = 11;
    assert_ne!(seal, dialler_seal(&hello(), &Welcome { nonce, ..welcome() }));
    let again = Welcome { sender: sender(2, 200, 8), ..welcome() };
    assert_ne!(seal, dialler_seal(&hello(), &again));
}
