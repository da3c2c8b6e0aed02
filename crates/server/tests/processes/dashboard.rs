//! The dashboard in a real browser: it shows the cluster from any node, live,
//! and everybody can read it.
//!
//! `cargo test -p raftlet-server --test processes dashboard -- --nocapture` says
//! how long the page took to show a dead leader, and where the pictures are;
//! without a browser on this machine it says so.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::cluster::{Cluster, http_get};
use crate::waiting::{Ends, wait_until};

/// What the page says of a node or a group.
const LOOK: &str = r##"
    const attributes = (name, value) => Object.fromEntries(
        [...document.querySelectorAll(`[data-${name}][data-${value}]`)]
            .map(it => [it.dataset[name], it.dataset[value]]));
    return {
        nodes: attributes("node", "state"),
        groups: attributes("group", "leader"),
        good: document.getElementById("state").classList.contains("good"),
        state: document.getElementById("state").textContent,
        lines: [...document.querySelectorAll("#chart-requests path")]
            .filter(it => it.getAttribute("d").split("L").length > 5).length,
        writes: document.querySelector("#chart-latency svg").getAttribute("aria-label"),
        events: document.getElementById("events").textContent,
        now: Date.now(),
    };
"##;

/// Texts that cannot be read well, and whether the page is wider than its
/// window.
const LEGIBLE: &str = r##"
    const rgb = text => (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
    const light = text => {
        const [r, g, b] = rgb(text).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = it => {
        for (; it; it = it.parentElement) {
            const colour = getComputedStyle(it).backgroundColor;
            if ((rgb(colour)[3] ?? 1) > 0) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    const faint = [];
    for (const it of document.querySelectorAll("body *")) {
        const own = [...it.childNodes].some(child => child.nodeType === 3 && child.data.trim());
        if (!own || !it.getClientRects().length || ["SCRIPT", "NOSCRIPT"].includes(it.tagName)) continue;
        const style = getComputedStyle(it);
        const [a, b] = [light(it.tagName === "text" ? style.fill : style.color), light(ground(it))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) faint.push(`${it.tagName} ${it.textContent.slice(0, 30)}: ${contrast.toFixed(2)}`);
    }
    return { faint, overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth };
"##;

fn browser() -> Option<Browser> {
    match Browser::start() {
        Ok(browser) => Some(browser),
        Err(lack) => {
            eprintln!("SKIPPED, not on this machine: {lack}");
            None
        }
    }
}

fn open(browser: &Browser, cluster: &Cluster, at: usize) {
    browser.open(&format!("http://{}/", cluster.admin_address(at)));
}

/// Puts, through a node, until told to stop. Errors are the outages' business.
fn put(cluster: &Cluster, at: usize, stop: &AtomicBool) {
    let mut client = cluster.client(at);
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let key = (number % 1000).to_string();
        if client.try_ask(&["SET", &key, "value"]).is_err() {
            return;
        }
    }
}

fn shows(look: &Value, reached: &[usize], silent: &[usize]) -> bool {
    let state = |at: usize| &look["nodes"][(at + 1).to_string()];
    reached.iter().all(|at| *state(*at) == "reached")
        && silent.iter().all(|at| *state(*at) == "silent")
}

#[test]
fn a_page_of_any_node_shows_the_cluster_and_a_dead_leader() {
    let Some(browser) = browser() else {
        return;
    };
    let mut cluster = Cluster::started(3);
    let leader = cluster.leader();
    let asked = (leader + 1) % 3;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for at in [asked, asked, leader, (leader + 2) % 3] {
            let (cluster, stop) = (&cluster, &stop);
            scope.spawn(move || put(cluster, at, stop));
        }
        let _ends = Ends(&stop);
        open(&browser, &cluster, asked);
        wait_until("the page shows three nodes, their leader and load", || {
            let look = browser.run(LOOK);
            let latency = look["writes"].as_str().unwrap_or_default();
            shows(&look, &[0, 1, 2], &[])
                && look["groups"]["1"].as_str().is_some_and(|it| it != "none")
                && look["good"] == true
                && look["lines"] == 3
                && latency.contains("99 of 100: ")
                && !latency.contains("nothing")
        });
        for (width, scheme) in [(1280, "light"), (1280, "dark"), (400, "light"), (400, "dark")] {
            browser.show_as(width, scheme);
            let legible = browser.run(LEGIBLE);
            let expected = json!({"faint": [], "overflow": 0});
            assert_eq!(legible, expected, "at {width} pixels, {scheme}");
            eprintln!("{}", browser.picture(&format!("dashboard-{width}-{scheme}.png")).display());
        }
    });
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.show_as(1280, "light");
    let leader = cluster.leader();
    let asked = (leader + 1) % 3;
    let third = (leader + 2) % 3;
    open(&browser, &cluster, asked);
    wait_until("the other node shows the same", || shows(&browser.run(LOOK), &[0, 1, 2], &[]));
    let killed = browser.run(LOOK)["now"].as_f64().unwrap();
    cluster.kill(leader);
    let mut shown = Value::Null;
    wait_until("the page shows the dead leader and its successor", || {
        shown = browser.run(LOOK);
        let successor = shown["groups"]["1"].as_str().and_then(|id| id.parse::<usize>().ok());
        shows(&shown, &[asked, third], &[leader]) && successor.is_some_and(|id| id != leader + 1)
    });
    let took = shown["now"].as_f64().unwrap() - killed;
    eprintln!("the page showed the dead leader and its successor after {took} ms");
    assert!(shown["good"] == false && shown["state"].as_str().unwrap().contains("degraded"));
    assert!(shown["events"].as_str().unwrap().contains("does not answer"), "{shown}");
    eprintln!("{}", browser.picture("dashboard-outage.png").display());
    cluster.start(leader);
    wait_until("the page shows that all is well again", || {
        let look = browser.run(LOOK);
        shows(&look, &[0, 1, 2], &[]) && look["good"] == true
    });
}

#[test]
fn a_page_says_when_its_node_is_gone_and_comes_back_with_it() {
    let Some(browser) = browser() else {
        return;
    };
    let mut cluster = Cluster::started(3);
    open(&browser, &cluster, 0);
    let lost =
        || browser.run("return !document.getElementById('lost').classList.contains('hidden')");
    wait_until("the page is alive", || browser.run(LOOK)["good"] == true);
    assert_eq!(lost(), false);
    cluster.kill(0);
    wait_until("the page says so", || lost() == true);
    let links = browser.run("return document.querySelectorAll('#lost a').length");
    assert_eq!(links, 2, "the other nodes' pages are not offered");
    cluster.start(0);
    wait_until("the page is alive again", || lost() == false);
}

#[test]
fn a_page_of_many_groups_is_used_by_keyboard_alone() {
    const TAB: &str = "\u{e004}";
    const SPACE: &str = " ";
    let Some(browser) = browser() else {
        return;
    };
    let mut cluster = Cluster::new(1);
    cluster.flags(&["--groups", "40"]);
    cluster.start_all();
    wait_until("all groups are led", || {
        let port = cluster.admin_address(0).rsplit_once(':').unwrap().1.parse().unwrap();
        http_get(port, "/readyz").is_some_and(|(status, _)| status == 200)
    });
    open(&browser, &cluster, 0);
    let tiles = "return document.querySelectorAll('.tiles button').length";
    wait_until("each group has its tile", || browser.run(tiles) == 40);
    let focus = "const it = document.activeElement; return it.dataset.group || it.tagName";
    let mut seen = Vec::new();
    wait_until("the tab key comes to the seventh tile", || {
        browser.press(TAB);
        seen.push(browser.run(focus));
        seen.last() == Some(&json!("7"))
    });
    assert!(seen.contains(&json!("svg")), "no chart was reached: {seen:?}");
    browser.press(SPACE);
    let chosen = "return document.querySelector('#groups tr[data-group]').dataset.group";
    wait_until("the chosen group is told", || browser.run(chosen) == "7");
    assert_eq!(browser.run(focus), "7", "the focus was lost");
    eprintln!("{}", browser.picture("dashboard-groups.png").display());
}
