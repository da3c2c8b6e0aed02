//! What a table must show, as a verdict: a line per must, in the report too, and
//! the program's exit status.
//!
//! Invariant: what could not be measured is missed, never met in silence.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::{Plot, finish, short};

/// Which way a figure may go.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// One figure and what it must be.
#[derive(Clone, Debug, PartialEq)]
struct Must {
    what: String,
    /// `None`: it was not measured.
    figure: Option<f64>,
    bound: Bound,
    unit: &'static str,
}

/// All that one run must show.
#[derive(Clone, Debug, Default)]
pub struct Musts(Vec<Must>);

impl Musts {
    /// The figure must not be larger.
    pub fn at_most(
        &mut self,
        what: impl Into<String>,
        figure: &Value,
        most: f64,
        unit: &'static str,
    ) {
        self.0.push(Must {
            what: what.into(),
            figure: figure.as_f64(),
            bound: Bound::AtMost(most),
            unit,
        });
    }

    /// The figure must not be smaller.
    pub fn at_least(
        &mut self,
        what: impl Into<String>,
        figure: &Value,
        least: f64,
        unit: &'static str,
    ) {
        self.0.push(Must {
            what: what.into(),
            figure: figure.as_f64(),
            bound: Bound::AtLeast(least),
            unit,
        });
    }

    /// Whether all are met, and there are any.
    #[must_use]
    pub fn are_met(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(Must::is_met)
    }

    /// Prints a line for each, and puts them into the report: `musts`, and
    /// `passed` for all of them.
    pub fn judge(&self, report: &mut Value) {
        for must in &self.0 {
            println!("{must}");
        }
        println!("{}\n", if self.are_met() { "passed" } else { "MISSED" });
        report["musts"] = self.0.iter().map(Must::json).collect();
        report["passed"] = json!(self.are_met());
    }
}

impl Must {
    fn is_met(&self) -> bool {
        self.figure.is_some_and(|figure| match self.bound {
            Bound::AtMost(most) => figure <= most,
            Bound::AtLeast(least) => figure >= least,
        })
    }

    fn json(&self) -> Value {
        let (bound, limit) = match self.bound {
            Bound::AtMost(most) => ("at_most", most),
            Bound::AtLeast(least) => ("at_least", least),
        };
        json!({ "what": self.what, "figure": self.figure, bound: limit, "unit": self.unit,
                "ok": self.is_met() })
    }
}

impl fmt::Display for Must {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (words, limit) = match self.bound {
            Bound::AtMost(most) => ("at most", most),
            Bound::AtLeast(least) => ("at least", least),
        };
        let verdict = if self.is_met() { "ok    " } else { "MISSED" };
        let figure = self.figure.map_or("not measured".to_owned(), short);
        write!(f, "{verdict}  {}: {figure} {} (must be {words} {limit})", self.what, self.unit)
    }
}

/// Ends a table that has musts: their lines, then as [`finish`] does. The status
/// is 1 where one is missed.
#[must_use]
pub fn conclude(mut report: Value, musts: &Musts, plot: &Plot, svg: Option<&Path>) -> ExitCode {
    musts.judge(&mut report);
    finish(report, plot, svg);
    ExitCode::from(u8::from(!musts.are_met()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Musts;

    #[test]
    fn one_missed_must_misses_all_and_a_limit_itself_is_met() {
        let mut musts = Musts::default();
        musts.at_most("growth", &json!(64.0), 64.0, "MiB");
        musts.at_least("cuts", &json!(3), 3.0, "");
        assert!(musts.are_met());
        musts.at_most("pause", &json!(20.1), 20.0, "ms");
        let mut report = json!({});
        musts.judge(&mut report);
        assert_eq!(report["passed"], false);
        let ok: Vec<_> = report["musts"].as_array().unwrap().iter().map(|it| &it["ok"]).collect();
        assert_eq!(ok, [true, true, false]);
    }

    #[test]
    fn what_was_not_measured_is_missed_and_so_is_nothing_at_all() {
        assert!(!Musts::default().are_met());
        for nothing in [Value::Null, json!("-"), json!(f64::NAN)] {
            let mut musts = Musts::default();
            musts.at_most("p99", &nothing, 2.0, "");
            assert!(!musts.are_met(), "{nothing}");
        }
    }
}
