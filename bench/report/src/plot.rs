//! A table as a picture: panels of bars or lines, written as SVG.
//!
//! Figures go in one by one, as (series, category, value); the panel keeps them
//! in the order of their first appearance. The axis is logarithmic where the
//! largest figure is more than [`LINEAR_RATIO_MAX`] times the smallest: bars
//! then tell factors. Smallest and largest are a whisker. A figure that is
//! missing is an "n/a", and a zero says so: it has no place on a logarithmic
//! axis.
//!
//! Invariant: equal figures give equal bytes; text from outside is escaped.
//!
//! Not here: which figures make the picture (each table's own).

use std::fmt::Write as _;

use crate::Spread;

/// Beyond it small bars of a linear axis could not be read.
const LINEAR_RATIO_MAX: f64 = 12.0;
/// Told apart by people who see colours differently (Okabe and Ito).
const COLOURS: [&str; 8] =
    ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#b0b0b0"];
const FONT: &str = "font-family='DejaVu Sans, Verdana, Arial, sans-serif'";

const WIDTH: f64 = 1040.0;
const GAP: f64 = 20.0;
const HEAD: f64 = 64.0;
const PANEL_HEIGHT: f64 = 310.0;
/// More bars than this need the whole width.
const NARROW_BARS_MAX: usize = 14;
/// Of the panel, around its axes.
const LEFT: f64 = 54.0;
const RIGHT: f64 = 10.0;
const BOTTOM: f64 = 26.0;
const LEGEND_LINE: f64 = 17.0;
/// Of a letter at 11 pixels.
const LETTER: f64 = 6.7;

/// How figures are drawn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// One beside the other.
    Bars,
    /// Over categories that follow each other.
    Lines,
}

/// One pair of axes.
#[derive(Clone, Debug)]
pub struct Panel {
    title: String,
    shape: Shape,
    categories: Vec<String>,
    series: Vec<Series>,
}

#[derive(Clone, Debug)]
struct Series {
    name: String,
    /// By category.
    figures: Vec<Option<Spread>>,
}

impl Panel {
    /// A panel without figures; the title names the unit.
    #[must_use]
    pub fn new(title: &str, shape: Shape) -> Self {
        Self { title: title.to_owned(), shape, categories: Vec::new(), series: Vec::new() }
    }

    /// One figure, or that there is none.
    pub fn figure(&mut self, series: &str, category: &str, figure: Option<Spread>) {
        let at = self.series.iter().position(|known| known.name == series).unwrap_or_else(|| {
            self.series.push(Series { name: series.to_owned(), figures: Vec::new() });
            self.series.len() - 1
        });
        let place = self.categories.iter().position(|known| known == category);
        let place = place.unwrap_or_else(|| {
            self.categories.push(category.to_owned());
            self.categories.len() - 1
        });
        let figures = &mut self.series[at].figures;
        if figures.len() <= place {
            figures.resize(place + 1, None);
        }
        figures[place] = figure;
    }

    fn is_wide(&self) -> bool {
        self.shape == Shape::Bars && self.series.len() * self.categories.len() > NARROW_BARS_MAX
    }

    fn figures(&self) -> impl Iterator<Item = Spread> {
        self.series.iter().flat_map(|series| series.figures.iter().flatten().copied())
    }
}

/// A picture of a whole table.
#[derive(Clone, Debug)]
pub struct Plot {
    title: String,
    note: String,
    panels: Vec<Panel>,
}

impl Plot {
    /// A picture without panels; the note tells how to read it.
    #[must_use]
    pub fn new(title: &str, note: &str) -> Self {
        Self { title: title.to_owned(), note: note.to_owned(), panels: Vec::new() }
    }

    /// One more panel, unless it has no figure.
    pub fn panel(&mut self, panel: Panel) {
        if panel.figures().next().is_some() {
            self.panels.push(panel);
        }
    }

    /// Of all series: one has the same colour in every panel.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for series in self.panels.iter().flat_map(|panel| &panel.series) {
            if !names.contains(&series.name.as_str()) {
                names.push(&series.name);
            }
        }
        names
    }

    /// The picture as a file.
    #[must_use]
    pub fn svg(&self) -> String {
        let mut out = String::new();
        let (mut x, mut y) = (GAP, HEAD);
        let half = (WIDTH - 3.0 * GAP) / 2.0;
        let names = self.names();
        for panel in &self.panels {
            let width = if panel.is_wide() { WIDTH - 2.0 * GAP } else { half };
            if x + width > WIDTH {
                (x, y) = (GAP, y + PANEL_HEIGHT + GAP);
            }
            Canvas::new(panel, &names, x, y, width).draw(&mut out);
            x += width + GAP;
        }
        let height = y + PANEL_HEIGHT + GAP;
        let mut whole = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' \
             viewBox='0 0 {WIDTH} {height}' {FONT}>\n\
             <rect width='{WIDTH}' height='{height}' fill='#ffffff'/>\n"
        );
        text(&mut whole, (GAP, 30.0), "start", "font-size='19' font-weight='bold'", &self.title);
        text(&mut whole, (GAP, 50.0), "start", "font-size='12' fill='#555555'", &self.note);
        whole + &out + "</svg>\n"
    }
}

/// From a figure to a share of the axis.
#[derive(Clone, Copy, Debug)]
struct Axis {
    is_log: bool,
    low: f64,
    high: f64,
}

impl Axis {
    fn of(panel: &Panel) -> Self {
        let positive = |value: &f64| *value > 0.0;
        let lowest = panel.figures().map(|f| f.min).filter(positive).fold(f64::MAX, f64::min);
        let highest = panel.figures().map(|f| f.max).filter(positive).fold(0.0, f64::max);
        if highest <= 0.0 {
            return Self { is_log: false, low: 0.0, high: 1.0 };
        }
        if highest / lowest <= LINEAR_RATIO_MAX {
            let step = step(highest);
            return Self { is_log: false, low: 0.0, high: (highest * 1.02 / step).ceil() * step };
        }
        // Half a decade below, so that the smallest bar can be seen.
        let low = 10f64.powf((lowest.log10() - 0.3).floor());
        Self { is_log: true, low, high: 10f64.powf((highest * 1.1).log10().ceil()) }
    }

    fn share(self, value: f64) -> f64 {
        let share = if self.is_log {
            (value / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        // A zero is minus infinity on a logarithmic axis.
        share.clamp(0.0, 1.0)
    }

    fn ticks(self) -> Vec<f64> {
        if self.is_log {
            let (first, last) = (self.low.log10().round(), self.high.log10().round());
            return (0..=100)
                .map(|at| first + f64::from(at))
                .take_while(|&power| power <= last)
                .map(|power| 10f64.powf(power))
                .collect();
        }
        let step = step(self.high / 1.02);
        (0..=20)
            .map(|at| f64::from(at) * step)
            .take_while(|&tick| tick <= self.high * 1.001)
            .collect()
    }
}

/// 1, 2 or 5 of a decade: four to ten of them reach `high`.
fn step(high: f64) -> f64 {
    let decade = 10f64.powf((high / 4.0).log10().floor());
    [5.0, 2.0].map(|times| times * decade).into_iter().find(|&s| s <= high / 4.0).unwrap_or(decade)
}

/// A panel and its place.
struct Canvas<'a> {
    panel: &'a Panel,
    names: &'a [&'a str],
    axis: Axis,
    x: f64,
    y: f64,
    width: f64,
    legend: Vec<(f64, f64)>,
}

impl<'a> Canvas<'a> {
    fn new(panel: &'a Panel, names: &'a [&'a str], x: f64, y: f64, width: f64) -> Self {
        let (mut at, mut line) = (0.0, 0.0);
        let mut legend = Vec::new();
        for series in &panel.series {
            let needed = 30.0 + LETTER * series.name.chars().count() as f64;
            if at + needed > width - LEFT - RIGHT && at > 0.0 {
                (at, line) = (0.0, line + LEGEND_LINE);
            }
            legend.push((x + LEFT + at, y + 38.0 + line));
            at += needed;
        }
        Self { panel, names, axis: Axis::of(panel), x, y, width, legend }
    }

    fn draw(&self, out: &mut String) {
        let scale = if self.axis.is_log { " (logarithmic)" } else { "" };
        let title = format!("{}{scale}", self.panel.title);
        let bold = "font-size='13' font-weight='bold'";
        text(out, (self.x, self.y + 14.0), "start", bold, &title);
        for (series, &(x, y)) in self.panel.series.iter().zip(&self.legend) {
            let colour = self.colour(series);
            line(
                out,
                &format!(
                    "<rect x='{x:.1}' y='{:.1}' width='11' height='11' rx='2' fill='{colour}'/>",
                    y - 10.0
                ),
            );
            text(out, (x + 16.0, y), "start", "font-size='11'", &series.name);
        }
        self.draw_axes(out);
        match self.panel.shape {
            Shape::Bars => self.draw_bars(out),
            Shape::Lines => self.draw_lines(out),
        }
    }

    fn colour(&self, series: &Series) -> &'static str {
        let at = self.names.iter().position(|&name| name == series.name).unwrap_or(0);
        COLOURS[at % COLOURS.len()]
    }

    /// Between the uppermost and the lowest tick.
    fn top(&self) -> f64 {
        self.legend.last().map_or(self.y, |&(_, y)| y) + 24.0
    }

    fn base(&self) -> f64 {
        self.y + PANEL_HEIGHT - BOTTOM
    }

    fn height_of(&self, value: f64) -> f64 {
        self.base() - self.axis.share(value) * (self.base() - self.top())
    }

    /// Where a category begins, and how wide each is.
    fn category(&self, at: usize) -> (f64, f64) {
        let width = (self.width - LEFT - RIGHT) / self.panel.categories.len() as f64;
        (self.x + LEFT + at as f64 * width, width)
    }

    fn draw_axes(&self, out: &mut String) {
        let (left, right) = (self.x + LEFT, self.x + self.width - RIGHT);
        for tick in self.axis.ticks() {
            let y = self.height_of(tick);
            line(out, &format!("<path d='M{left:.1} {y:.1}H{right:.1}' stroke='#dddddd'/>"));
            let place = (left - 6.0, y + 4.0);
            text(out, place, "end", "font-size='10' fill='#555555'", &told(tick));
        }
        let base = self.base();
        line(out, &format!("<path d='M{left:.1} {base:.1}H{right:.1}' stroke='#333333'/>"));
        for (at, category) in self.panel.categories.iter().enumerate() {
            let (start, width) = self.category(at);
            let place = (start + width / 2.0, base + 16.0);
            text(out, place, "middle", "font-size='11'", category);
        }
    }

    fn draw_bars(&self, out: &mut String) {
        let count = self.panel.series.len() as f64;
        for category in 0..self.panel.categories.len() {
            let (start, width) = self.category(category);
            // One eighth on each side keeps categories apart.
            let slot = (width * 0.75 / count).min(64.0);
            let first = start + (width - slot * count) / 2.0;
            for (at, series) in self.panel.series.iter().enumerate() {
                let figure = series.figures.get(category).copied().flatten();
                let x = first + slot * at as f64;
                self.draw_bar(out, self.colour(series), x, slot, figure);
            }
        }
    }

    fn draw_bar(&self, out: &mut String, colour: &str, x: f64, slot: f64, figure: Option<Spread>) {
        let middle = x + slot / 2.0;
        let Some(figure) = figure else {
            let grey = "font-size='9' fill='#999999'";
            return text(out, (middle, self.base() - 4.0), "middle", grey, "n/a");
        };
        let (y, base) = (self.height_of(figure.median), self.base());
        line(
            out,
            &format!(
                "<rect x='{:.1}' y='{y:.1}' width='{:.1}' height='{:.1}' fill='{colour}'/>",
                x + slot * 0.06,
                slot * 0.88,
                base - y
            ),
        );
        let mut above = y;
        if figure.max > figure.min {
            let (low, high) = (self.height_of(figure.min), self.height_of(figure.max));
            line(
                out,
                &format!(
                    "<path d='M{middle:.1} {low:.1}V{high:.1}M{:.1} {low:.1}h6M{:.1} {high:.1}h6' \
                 stroke='#333333' fill='none'/>",
                    middle - 3.0,
                    middle - 3.0
                ),
            );
            above = high;
        }
        text(out, (middle, above - 4.0), "middle", "font-size='9.5'", &told(figure.median));
    }

    fn draw_lines(&self, out: &mut String) {
        // The first series is ours: drawn last, above the others.
        for (at, series) in self.panel.series.iter().enumerate().rev() {
            let colour = self.colour(series);
            let points: Vec<(f64, f64, Spread)> = series
                .figures
                .iter()
                .enumerate()
                .filter_map(|(category, figure)| {
                    let (start, width) = self.category(category);
                    let figure = (*figure)?;
                    Some((start + width / 2.0, self.height_of(figure.median), figure))
                })
                .collect();
            let path: Vec<String> =
                points.iter().map(|(x, y, _)| format!("{x:.1},{y:.1}")).collect();
            line(
                out,
                &format!(
                    "<polyline points='{}' fill='none' stroke='{colour}' stroke-width='2'/>",
                    path.join(" ")
                ),
            );
            for (x, y, figure) in points {
                line(out, &format!("<circle cx='{x:.1}' cy='{y:.1}' r='3.5' fill='{colour}'/>"));
                let (low, high) = (self.height_of(figure.min), self.height_of(figure.max));
                line(out, &format!("<path d='M{x:.1} {low:.1}V{high:.1}' stroke='{colour}'/>"));
                if at == 0 {
                    let bold = format!(
                        "font-size='10' font-weight='bold' fill='{colour}' stroke='#ffffff' stroke-width='3' paint-order='stroke'"
                    );
                    text(out, (x, high.min(y) - 7.0), "middle", &bold, &told(figure.median));
                }
            }
        }
    }
}

fn line(out: &mut String, what: &str) {
    out.push_str(what);
    out.push('\n');
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, style: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // Writing to a string cannot fail.
    let _ =
        writeln!(out, "<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}' {style}>{words}</text>");
}

/// A figure as short as a label must be.
fn told(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        v if v >= 1e6 => (value / 1e6, "M"),
        v if v >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let words = format!("{scaled:.digits$}");
    let trimmed =
        if digits == 0 { &words } else { words.trim_end_matches('0').trim_end_matches('.') };
    format!("{trimmed}{unit}")
}

#[cfg(test)]
mod tests {
    use super::{Axis, Panel, Plot, Shape, told};
    use crate::Spread;

    fn panel(values: &[f64]) -> Panel {
        let mut panel = Panel::new("a < b", Shape::Bars);
        for (at, &value) in values.iter().enumerate() {
            panel.figure("ours", &at.to_string(), Spread::of(&[value]));
        }
        panel
    }

    #[test]
    fn an_axis_is_logarithmic_only_where_figures_span_more_than_a_decade() {
        assert!(!Axis::of(&panel(&[1.0, 9.0])).is_log);
        assert!(Axis::of(&panel(&[1.0, 100.0])).is_log);
    }

    #[test]
    fn every_figure_lies_on_its_axis() {
        for values in [[0.0, 3.0], [0.001, 90.0], [7.0, 7.0], [0.0, 0.0]] {
            let axis = Axis::of(&panel(&values));
            for value in values {
                assert!((0.0..=1.0).contains(&axis.share(value)), "{value} on {axis:?}");
            }
            let ticks = axis.ticks();
            assert!(ticks.len() >= 2 && ticks.last() >= Some(&values[1]), "{ticks:?}");
        }
    }

    #[test]
    fn what_comes_from_outside_cannot_break_the_file() {
        let mut plot = Plot::new("t & t", "");
        plot.panel(panel(&[1.0]));
        let svg = plot.svg();
        assert!(svg.contains("a &lt; b") && svg.contains("t &amp; t"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn a_missing_figure_is_told_and_an_empty_panel_is_left_out() {
        let mut with_gap = panel(&[1.0]);
        with_gap.figure("theirs", "0", None);
        let mut plot = Plot::new("", "");
        plot.panel(Panel::new("empty", Shape::Bars));
        plot.panel(with_gap);
        let svg = plot.svg();
        assert!(svg.contains(">n/a<") && !svg.contains("empty"));
    }

    #[test]
    fn labels_are_short() {
        let words = [0.0, 0.005, 14_226.0, 1_086_347.0, 100.0, 20.0].map(told);
        assert_eq!(words, ["0", "0.005", "14.2k", "1.09M", "100", "20"]);
    }
}
