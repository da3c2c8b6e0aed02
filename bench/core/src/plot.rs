//! The table as a picture.

use bench_report::{Panel, Plot, Shape, Spread};
use serde_json::Value;

/// Of the report that [`crate::table::measure`] made.
pub(crate) fn of(report: &Value) -> Plot {
    let mut plot = Plot::new(
        "The protocol core: cost of a committed entry",
        "Three members in one thread, 256-byte commands; callgrind and a counting allocator. \
         Less is better.",
    );
    let by_batch = |title: &str, field: &str| {
        panel(title, &report["entries"], "system", |row| format!("batch {}", row["batch"]), field)
    };
    plot.panel(by_batch("Instructions per entry", "instructions"));
    plot.panel(by_batch("Allocations per entry", "allocations"));
    let request = |row: &Value| format!("{}, P={}", word(&row["request"]), row["pipeline"]);
    let title = "RESP path without consensus: instructions per request";
    plot.panel(panel(title, &report["resp"], "system", request, "instructions"));
    let title = "One more member, batch 16: instructions per entry";
    plot.panel(panel(title, &report["members"], "system", |_| String::new(), "added"));
    plot.panel(many_groups(&report["groups"]));
    let title = "Idle group, 100 ms: instructions";
    plot.panel(panel(title, &report["idle"], "system", |_| String::new(), "instructions"));
    plot.panel(memory(&report["memory"]));
    plot
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn rows(rows: &Value) -> impl Iterator<Item = &Value> {
    rows.as_array().into_iter().flatten()
}

fn panel(
    title: &str,
    of: &Value,
    series: &str,
    category: impl Fn(&Value) -> String,
    field: &str,
) -> Panel {
    let mut panel = Panel::new(title, Shape::Bars);
    for row in rows(of) {
        panel.figure(&word(&row[series]), &category(row), Spread::of_json(&row[field]));
    }
    panel
}

fn many_groups(of: &Value) -> Panel {
    let mut panel = Panel::new("1 000 active groups, times the cost of one", Shape::Bars);
    for row in rows(of) {
        let system = word(&row["system"]);
        panel.figure(&system, "instructions", Spread::of_json(&row["ratio"]));
        panel.figure(&system, "wall time", Spread::of_json(&row["wall"]["ratio"]));
    }
    panel
}

fn memory(of: &Value) -> Panel {
    let mut panel = Panel::new("Bytes of an idle member", Shape::Bars);
    for row in rows(of) {
        for field in ["fresh", "elected"] {
            panel.figure(&word(&row["system"]), field, Spread::of_json(&row[field]));
        }
    }
    panel
}
