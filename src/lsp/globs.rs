//! Globs that narrow a search, in gitignore style and relative to the codebase's root.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::core::RelPath;

/// Which files a search looks at. A glob that matches a folder means what is in it.
#[derive(Clone, Debug)]
pub struct Globs {
    include: Option<Gitignore>,
    exclude: Gitignore,
}

impl Globs {
    /// Files that one of `include` matches (all, when there is none), less those that one of `exclude` matches.
    ///
    /// # Errors
    /// When a glob isn't one.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Globs, ignore::Error> {
        let include = compile(include)?;
        Ok(Globs { include: (!include.is_empty()).then_some(include), exclude: compile(exclude)? })
    }

    /// Whether `path` is to be looked at.
    pub fn keep(&self, path: &RelPath) -> bool {
        let path = path.to_path(Path::new(""));
        let hits = |globs: &Gitignore| globs.matched_path_or_any_parents(&path, false).is_ignore();
        self.include.as_ref().is_none_or(hits) && !hits(&self.exclude)
    }
}

fn compile(globs: &[String]) -> Result<Gitignore, ignore::Error> {
    let mut builder = GitignoreBuilder::new("");
    for glob in globs {
        builder.add_line(None, glob)?;
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn kept(include: &[&str], exclude: &[&str]) -> Vec<&'static str> {
        let owned = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>();
        let globs = Globs::new(&owned(include), &owned(exclude)).unwrap();
        let files = ["a.rs", "src/b.rs", "src/c.md", "src/gen/d.rs", "target/e.rs"];
        files.into_iter().filter(|file| globs.keep(&RelPath::new(Path::new(file)).unwrap())).collect()
    }

    #[test]
    fn globs_are_those_of_ignore_files() {
        let all = ["a.rs", "src/b.rs", "src/c.md", "src/gen/d.rs", "target/e.rs"];
        assert_eq!(kept(&[], &[]), all);
        assert_eq!(kept(&["*.md"], &[]), ["src/c.md"]);
        assert_eq!(kept(&["/*.rs"], &[]), ["a.rs"]);
        assert_eq!(kept(&["src/**/*.rs"], &[]), ["src/b.rs", "src/gen/d.rs"]);
        assert_eq!(kept(&["*.{rs,md}"], &["target"]), ["a.rs", "src/b.rs", "src/c.md", "src/gen/d.rs"]);
        assert_eq!(kept(&["src"], &["gen/"]), ["src/b.rs", "src/c.md"], "a folder means what is in it");
        assert_eq!(kept(&[""], &[""]), all, "an empty glob says nothing");
    }

    #[test]
    fn a_glob_that_is_none_is_an_error() {
        assert!(Globs::new(&["a{".to_owned()], &[]).is_err());
    }
}
