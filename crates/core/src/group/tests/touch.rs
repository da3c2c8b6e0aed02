//! Claims about asking for memory ahead.

use super::{Cluster, Time, configuration, fresh, group};
use crate::group::Group;
use crate::output::Role;
use crate::time::Now;
use crate::walk::Reach;

/// Everything that can be seen of a member, and everything that cannot.
fn look(group: &Group) -> String {
    format!("{group:?}")
}

fn touch(group: &Group) {
    for reach in [Reach::Itself, Reach::Held, Reach::Beyond] {
        group.touch(reach);
    }
}

#[test]
fn a_member_that_was_touched_is_the_same_in_every_role() {
    let mut c = Cluster::voters(3);
    let now = Now { time: Time::from_ms(10_000), ..Now::default() };
    let mut alone = group(1, fresh(&configuration(3)));
    let mut roles = vec![alone.role()];
    for _ in 0..2 {
        let before = look(&alone);
        touch(&alone);
        assert_eq!(look(&alone), before);
        alone.on_deadline(now);
        roles.push(alone.role());
    }
    assert!(roles.contains(&Role::Follower) && roles.contains(&Role::PreCandidate), "{roles:?}");
    c.run_ms(2_000);
    let leader = c.leaders()[0];
    for step in 0..3 {
        c.propose(leader, b"command");
        for node in 1..=3 {
            let before = look(c.group(node));
            touch(c.group(node));
            assert_eq!(look(c.group(node)), before, "member {node}, step {step}");
        }
        c.pump(leader);
        c.run_ms(10);
    }
    c.group(leader).halt(now);
    touch(c.group(leader));
    assert!(c.group(leader).is_halted());
}
