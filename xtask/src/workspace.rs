//! Packages, dependencies and crate roots, as cargo itself reads them.
//!
//! Asks `cargo metadata --no-deps --offline`: nothing is resolved, downloaded
//! or locked, so it works in a fixture of two files and beside a running
//! build. `bench/`, `fuzz/` and the clients under `tools/` are workspaces of
//! their own and are asked too.
//!
//! Not here: which dependency is allowed (`tidy/arrows.rs`).

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Manifests of the workspaces a checkout may hold.
const MANIFESTS: [&str; 4] =
    ["Cargo.toml", "bench/Cargo.toml", "fuzz/Cargo.toml", "tools/clients.d/rust/Cargo.toml"];

/// One package and what the checks need of its manifest.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its `Cargo.toml`, from the root.
    pub(crate) manifest: String,
    /// Part of the product's own workspace.
    pub(crate) is_ours: bool,
    /// Names of normal and build dependencies; dev-dependencies are exempt.
    pub(crate) dependencies: Vec<String>,
    /// The root file of every target, from the root.
    pub(crate) roots: Vec<String>,
}

/// All packages under `root`.
///
/// # Errors
/// When cargo cannot read a manifest; its own message is passed on.
pub(crate) fn packages(root: &Path) -> Result<Vec<Package>, Box<dyn Error>> {
    let root = root.canonicalize()?;
    let mut all = Vec::new();
    for manifest in MANIFESTS {
        if !root.join(manifest).is_file() {
            continue;
        }
        let metadata = ask(&root, manifest)?;
        for package in array(&metadata, "packages") {
            all.push(read(&root, package, manifest == "Cargo.toml"));
        }
    }
    Ok(all)
}

#[expect(clippy::disallowed_methods, reason = "cargo only reads manifests")]
fn ask(root: &Path, manifest: &str) -> Result<Value, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(root.join(manifest))
        .current_dir(root)
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo cannot read {manifest}: {}", said.trim()).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn read(root: &Path, package: &Value, is_ours: bool) -> Package {
    let dependencies = array(package, "dependencies")
        .iter()
        .filter(|dependency| text(dependency, "kind") != "dev")
        .map(|dependency| text(dependency, "name").to_owned())
        .collect();
    let roots = array(package, "targets")
        .iter()
        .map(|target| relative(root, text(target, "src_path")))
        .collect();
    Package {
        name: text(package, "name").to_owned(),
        manifest: relative(root, text(package, "manifest_path")),
        is_ours,
        dependencies,
        roots,
    }
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn relative(root: &Path, path: &str) -> String {
    let path = Path::new(path);
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}
