//! The repository as a list of files.
//!
//! Invariants
//! - Paths are relative to the root, with `/` between parts, in sorted order.
//! - What git would not keep is not here: `.git`, every `target`, and what the
//!   top-level lines (`/name`, `/name*`) of `.gitignore` name.
//!
//! Not here: what a file means. Rust is read by `rust.rs`, manifests by
//! `workspace.rs`.

use std::fs;
use std::io;
use std::path::Path;

/// One file of the repository.
#[derive(Debug)]
pub(crate) struct File {
    /// From the root, `/` between parts.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// `None` where the content is not UTF-8.
    pub(crate) text: Option<String>,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    /// The content, empty where it is not UTF-8.
    pub(crate) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }
}

/// All files of the repository, sorted by path.
#[derive(Debug)]
pub(crate) struct Tree {
    files: Vec<File>,
}

impl Tree {
    /// Reads everything under `root`.
    ///
    /// # Errors
    /// When a directory or file cannot be read.
    pub(crate) fn load(root: &Path) -> io::Result<Self> {
        let ignored = ignored_names(root);
        let mut files = Vec::new();
        walk(root, "", &ignored, &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { files })
    }

    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        let at = self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
        self.files.get(at)
    }

    /// Whether `path` is a file, or a directory with a file in it.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.file(path).is_some() || self.has_directory(path)
    }

    pub(crate) fn has_directory(&self, path: &str) -> bool {
        let prefix = format!("{path}/");
        let at = self.files.partition_point(|file| file.path < prefix);
        self.files.get(at).is_some_and(|file| file.path.starts_with(&prefix))
    }
}

fn walk(root: &Path, under: &str, ignored: &[String], files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(under))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name == ".git" || name == "target" || (under.is_empty() && matches(ignored, &name)) {
            continue;
        }
        let path = if under.is_empty() { name } else { format!("{under}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(root, &path, ignored, files)?;
        } else if kind.is_file() {
            let content = match fs::read(entry.path()) {
                Ok(content) => content,
                // Somebody's temporary file went away since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
            files.push(File { path, bytes, text: String::from_utf8(content).ok() });
        }
    }
    Ok(())
}

fn ignored_names(root: &Path) -> Vec<String> {
    let text = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.trim().strip_prefix('/'))
        .map(|name| name.trim_end_matches('/').to_owned())
        .collect()
}

fn matches(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    })
}
