//! What every table does alike: text and a plot (`plot.rs`) for people, one JSON
//! object for machines, medians with their spread, a verdict where there is one
//! (`musts.rs`).
//!
//! Invariant: the last line of standard output is the JSON object and nothing
//! else; whatever is said on the way goes to standard error.

mod musts;
mod plot;

pub use musts::{Musts, conclude};
pub use plot::{Panel, Plot, Shape};

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A table in plain text, columns as wide as their widest cell.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    #[must_use]
    pub fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    /// One more row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// To standard output, first column to the left, the others to the right.
    pub fn print(&self) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (at, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
            if at == 0 {
                let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
                println!("{}", rule.join("  "));
            }
        }
        println!();
    }
}

/// Ends a table: its plot goes to `svg`, or beside the program, its report to
/// the last line of standard output.
pub fn finish(mut report: Value, plot: &Plot, svg: Option<&Path>) {
    match save(plot, svg) {
        Ok(file) => {
            println!("plot: {}\n", file.display());
            report["svg"] = json!(file);
        }
        Err(why) => {
            eprintln!("the plot could not be written: {why}");
            report["svg"] = Value::Null;
        }
    }
    println!("{report}");
}

fn save(plot: &Plot, svg: Option<&Path>) -> io::Result<PathBuf> {
    let file = match svg {
        Some(file) => file.to_path_buf(),
        None => std::env::current_exe()?.with_extension("svg"),
    };
    std::fs::write(&file, plot.svg())?;
    Ok(file)
}

/// A peer that could not be measured, and why: never a silent gap.
#[must_use]
pub fn missing(system: &str, why: &str) -> Value {
    json!({ "system": system, "peer": null, "why": why })
}

/// Median with its spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle value, or the mean of the two middle ones.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of these values; `None` of none.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> =
            values.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        Some(Self { median: f64::midpoint(lower, upper), min, max })
    }

    /// As JSON.
    #[must_use]
    pub fn json(self) -> Value {
        json!({ "median": self.median, "min": self.min, "max": self.max })
    }

    /// Of JSON: as [`Spread::json`] wrote it, or a number alone.
    #[must_use]
    pub fn of_json(value: &Value) -> Option<Self> {
        if let Some(number) = value.as_f64() {
            return Some(Self { median: number, min: number, max: number });
        }
        let field = |name: &str| value[name].as_f64();
        Some(Self { median: field("median")?, min: field("min")?, max: field("max")? })
    }
}

/// A number as people read it: three digits that count.
#[must_use]
pub fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let spread = Spread::of(&[4.0, 1.0, 2.0, 9.0]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (3.0, 1.0, 9.0));
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(Spread::of(&[]), None);
    }
}
