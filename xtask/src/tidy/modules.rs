//! Every file is reachable from a crate root, and modules form no cycles.
//!
//! The module tree is built from `mod` declarations, starting at each target
//! that cargo knows. A reference from module A to module B becomes an arrow
//! between the two siblings under their lowest common parent: `a::x → b::y` is
//! `a → b`. Parent and child may know each other; siblings must not form a
//! cycle (rule 37). Names that the crate root re-exports are followed to their
//! home. References in test code are exempt.
//!
//! Not here: arrows between crates (`arrows.rs`).

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, House};
use crate::rust::{Kind, PathUse, Source, paths};
use crate::tree::Tree;

/// Compiled by a compile-fail test, not by a target.
const NOT_COMPILED: &str = "/compile_fail/";

/// Names of modules from the crate root down; the root itself is empty.
type ModulePath = Vec<String>;

/// An arrow between siblings, with the place of its first evidence.
type Arrows = BTreeMap<(ModulePath, ModulePath), (String, usize)>;

/// One module that has a file of its own.
struct Module<'a> {
    file: &'a str,
    uses: Vec<PathUse<'a>>,
}

/// The modules of one target.
#[derive(Default)]
struct Target<'a> {
    modules: BTreeMap<ModulePath, Module<'a>>,
}

pub(super) fn check(house: &House<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut reached = BTreeSet::new();
    for root in house.packages.iter().flat_map(|package| &package.roots) {
        let mut target = Target::default();
        let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
        load(house.tree, root, folder, vec![], &mut target);
        reached.extend(target.modules.values().map(|module| module.file));
        findings.extend(cycles(&target));
    }
    let unreached = house.tree.rust().filter(|file| !reached.contains(file.path.as_str()));
    for file in unreached.filter(|file| !file.path.contains(NOT_COMPILED)) {
        let message = "no crate root reaches this file; declare it with `mod`, or delete it";
        findings.push(Finding::new("reachable", &file.path, 0, message));
    }
    findings
}

/// Adds the module in `path` and those it declares; `folder` is where its
/// children live.
fn load<'a>(tree: &'a Tree, path: &str, folder: &str, module: ModulePath, target: &mut Target<'a>) {
    let Some(file) = tree.file(path) else { return };
    let source = Source::parse(file.text());
    let uses = paths(&source.tokens).into_iter().filter(|path| !path.is_test).collect();
    let known = Module { file: &file.path, uses };
    if target.modules.insert(module.clone(), known).is_some() {
        return;
    }
    for declared in declarations(&source) {
        let mut child = module.clone();
        child.extend(declared.names.iter().cloned());
        let stem = format!("{folder}/{}", declared.names.join("/"));
        let candidates = match &declared.explicit {
            Some(name) => {
                let beside = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                [format!("{beside}/{name}"), String::new()]
            }
            None => [format!("{stem}.rs"), format!("{stem}/mod.rs")],
        };
        if let Some(found) = candidates.iter().find(|path| tree.file(path).is_some()) {
            load(tree, found, &stem, child, target);
        }
    }
}

/// A `mod name;`, with the inline modules around it.
struct Declaration {
    names: Vec<String>,
    /// From `#[path = "..."]`.
    explicit: Option<String>,
}

fn declarations(source: &Source<'_>) -> Vec<Declaration> {
    let mut found = Vec::new();
    let mut around: Vec<(usize, &str)> = Vec::new();
    for (at, window) in source.tokens.windows(3).enumerate() {
        let [word, name, sign] = window else { continue };
        while around.last().is_some_and(|(depth, _)| word.text == "}" && word.depth == *depth) {
            around.pop();
        }
        if word.text != "mod" || name.kind != Kind::Word {
            continue;
        }
        match sign.text {
            "{" => around.push((word.depth, name.text)),
            ";" => {
                let outer = around.iter().map(|(_, name)| (*name).to_owned());
                found.push(Declaration {
                    names: outer.chain([name.text.to_owned()]).collect(),
                    explicit: explicit_path(source, at),
                });
            }
            _ => {}
        }
    }
    found
}

fn explicit_path(source: &Source<'_>, at: usize) -> Option<String> {
    let start = at.checked_sub(6)?;
    let before = source.tokens.get(start..at)?;
    let [hash, _, word, _, value, _] = before else {
        return None;
    };
    (hash.text == "#" && word.text == "path").then(|| value.text.trim_matches('"').to_owned())
}

fn cycles(target: &Target<'_>) -> Vec<Finding> {
    let mut arrows = Arrows::new();
    for (from, module) in &target.modules {
        for path in &module.uses {
            let Some(to) = resolve(target, from, &path.segments) else {
                continue;
            };
            let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            let (Some(left), Some(right)) = (from.get(..=shared), to.get(..=shared)) else {
                continue;
            };
            let place = (module.file.to_owned(), path.line);
            arrows.entry((left.to_vec(), right.to_vec())).or_insert(place);
        }
    }
    knots(&arrows).iter().map(|cycle| describe(&arrows, cycle)).collect()
}

/// The shortest cycle of each knot: one wrong arrow can close many cycles, and
/// the shortest shows it best.
fn knots(arrows: &Arrows) -> Vec<Vec<ModulePath>> {
    let starts: BTreeSet<&ModulePath> = arrows.keys().map(|(from, _)| from).collect();
    let mut cycles: Vec<_> =
        starts.iter().filter_map(|start| shortest_path(arrows, start, start)).collect();
    cycles.sort_by_key(Vec::len);
    let mut kept: Vec<Vec<ModulePath>> = Vec::new();
    for cycle in cycles {
        let Some(first) = cycle.first() else { continue };
        let is_known = kept.iter().filter_map(|known| known.first()).any(|known| {
            shortest_path(arrows, known, first).is_some()
                && shortest_path(arrows, first, known).is_some()
        });
        if !is_known {
            kept.push(cycle);
        }
    }
    kept
}

/// The module that `segments`, written in module `from`, lead to.
fn resolve(target: &Target<'_>, from: &[String], segments: &[&str]) -> Option<ModulePath> {
    let (first, rest) = segments.split_first()?;
    let (mut at, rest) = match *first {
        "crate" => (ModulePath::new(), rest),
        "self" => (from.to_vec(), rest),
        "super" => {
            let up = segments.iter().take_while(|segment| **segment == "super").count();
            let kept = from.len().checked_sub(up)?;
            (from.get(..kept)?.to_vec(), segments.get(up..)?)
        }
        name => {
            let child = child(from, name);
            target.modules.contains_key(&child).then_some(())?;
            (child, rest)
        }
    };
    for segment in rest {
        let next = child(&at, segment);
        if target.modules.contains_key(&next) {
            at = next;
        } else if at.is_empty() && !from.is_empty() {
            return re_exported(target, segment);
        } else {
            break;
        }
    }
    Some(at)
}

/// The home of a name that the crate root re-exports.
fn re_exported(target: &Target<'_>, name: &str) -> Option<ModulePath> {
    let root = target.modules.get(&ModulePath::new())?;
    let path = root.uses.iter().find(|path| path.depth == 0 && path.segments.last() == Some(&name));
    resolve(target, &[], &path?.segments)
}

fn child(parent: &[String], name: &str) -> ModulePath {
    parent.iter().cloned().chain([name.to_owned()]).collect()
}

/// The modules from `start` along at least one arrow to `end`, without `end`.
fn shortest_path(arrows: &Arrows, start: &ModulePath, end: &ModulePath) -> Option<Vec<ModulePath>> {
    let mut seen = BTreeSet::new();
    let mut paths = vec![vec![start.clone()]];
    while !paths.is_empty() {
        let mut longer = Vec::new();
        for path in paths {
            let last = path.last()?;
            for (_, to) in arrows.keys().filter(|(from, _)| from == last) {
                if to == end {
                    return Some(path);
                }
                if seen.insert(to.clone()) {
                    longer.push(path.iter().cloned().chain([to.clone()]).collect());
                }
            }
        }
        paths = longer;
    }
    None
}

fn describe(arrows: &Arrows, cycle: &[ModulePath]) -> Finding {
    let next = cycle.iter().skip(1).chain(cycle.first());
    let mut text = String::from("modules form a cycle:");
    let mut place = (String::new(), 0);
    for (from, to) in cycle.iter().zip(next) {
        let Some((file, line)) = arrows.get(&(from.clone(), to.clone())) else {
            continue;
        };
        text.push_str(&format!(" {} uses {} ({file}:{line})", from.join("::"), to.join("::")));
        if place.1 == 0 {
            place = (file.clone(), *line);
        }
    }
    Finding::new("module-cycles", &place.0, place.1, text)
}
