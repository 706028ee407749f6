//! The walk that finds files: ripgrep's own, with its filters.

use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use ignore::overrides::{Override, OverrideBuilder};
use ignore::types::{Types, TypesBuilder};

use super::SearchError;
use super::arguments::{Filter, TypeChange};

/// What a walk goes by.
pub(super) struct Walk {
    filter: Filter,
    here: PathBuf,
    overrides: Override,
    types: Types,
    /// The answer may be written to a file of the tree, which isn't searched.
    skip_stdout: bool,
}

impl Walk {
    /// The walk that `filter` asks for; globs are relative to `here`, the current folder.
    ///
    /// # Errors
    /// When a glob or a type isn't one.
    pub(super) fn new(filter: &Filter, here: &Path, skip_stdout: bool) -> Result<Walk, SearchError> {
        let types = types(&filter.types)?;
        let mut overrides = OverrideBuilder::new(here);
        let ignore_case = |overrides: &mut OverrideBuilder| overrides.case_insensitive(true).map(drop);
        if filter.globs_ignore_case {
            ignore_case(&mut overrides).map_err(SearchError::Glob)?;
        }
        for glob in &filter.globs {
            overrides.add(glob).map_err(SearchError::Glob)?;
        }
        ignore_case(&mut overrides).map_err(SearchError::Glob)?;
        for glob in &filter.iglobs {
            overrides.add(glob).map_err(SearchError::Glob)?;
        }
        let overrides = overrides.build().map_err(SearchError::Glob)?;
        Ok(Walk { filter: filter.clone(), here: here.to_owned(), overrides, types, skip_stdout })
    }

    /// A walk of `path`; what is wrong with further ignore files is given to `say`.
    pub(super) fn of(&self, path: &Path, say: impl Fn(ignore::Error)) -> WalkBuilder {
        let filter = &self.filter;
        let mut builder = WalkBuilder::new(path);
        if !filter.no_files {
            filter.ignore_files.iter().filter_map(|file| builder.add_ignore(file)).for_each(say);
        }
        builder
            .max_depth(filter.max_depth)
            .follow_links(filter.follow)
            .max_filesize(filter.max_filesize)
            .same_file_system(filter.one_file_system)
            .skip_stdout(self.skip_stdout)
            .overrides(self.overrides.clone())
            .types(self.types.clone())
            .hidden(!filter.hidden)
            .parents(!filter.no_parent)
            .ignore(!filter.no_dot)
            .git_global(!filter.no_vcs && !filter.no_global)
            .git_ignore(!filter.no_vcs)
            .git_exclude(!filter.no_vcs && !filter.no_exclude)
            .require_git(!filter.no_require_git)
            .ignore_case_insensitive(filter.ignores_ignore_case)
            .current_dir(&self.here);
        if !filter.no_dot {
            builder.add_custom_ignore_filename(".rgignore");
        }
        builder
    }

    /// Whether, but for globs and types that leave out files, the walk goes by ripgrep's usual rules alone.
    pub(super) fn is_plain(&self) -> bool {
        let filter = &self.filter;
        let switches = [
            filter.hidden,
            filter.follow,
            filter.one_file_system,
            filter.ignores_ignore_case,
            filter.no_dot,
            filter.no_exclude,
            filter.no_global,
            filter.no_parent,
            filter.no_vcs,
            filter.no_require_git,
        ];
        let selects = filter.types.iter().any(|change| !matches!(change, TypeChange::Negate(_)));
        !switches.contains(&true)
            && self.overrides.num_whitelists() == 0
            && !selects
            && filter.max_depth.is_none()
            && filter.ignore_files.is_empty()
    }

    /// Whether globs, types or a size leave out more than the usual rules do.
    pub(super) fn leaves_out(&self) -> bool {
        !self.overrides.is_empty() || !self.types.is_empty() || self.filter.max_filesize.is_some()
    }

    /// Whether a walk of `folder` finds any file. It ends at the first.
    pub(super) fn finds_any(&self, folder: &Path) -> bool {
        let is_file = |entry: ignore::DirEntry| entry.file_type().is_some_and(|kind| kind.is_file());
        self.of(folder, drop).build().flatten().any(is_file)
    }

    /// Whether a file that the usual rules let through, found in a walk of `folder`, is let through by these.
    pub(super) fn lets_through(&self, folder: &Path, path: &Path) -> bool {
        if !self.leaves_out() {
            return true;
        }
        // As the walk spells what it compares.
        let plain = |path: &Path| path.strip_prefix("./").unwrap_or(path).to_owned();
        let left_out = |path: &Path, is_folder| {
            self.overrides.matched(plain(path), is_folder).is_ignore()
                || self.types.matched(plain(path), is_folder).is_ignore()
        };
        let mut above = path.ancestors().skip(1).take_while(|above| *above != folder && above.starts_with(folder));
        if left_out(path, false) || above.any(|above| left_out(above, true)) {
            return false;
        }
        match self.filter.max_filesize {
            Some(most) => path.metadata().is_ok_and(|metadata| metadata.len() <= most),
            None => true,
        }
    }
}

/// What changes to file types come to, beginning with the usual ones.
///
/// # Errors
/// When a type isn't known, or a definition isn't one.
pub(super) fn types(changes: &[TypeChange]) -> Result<Types, SearchError> {
    let mut builder = TypesBuilder::new();
    builder.add_defaults();
    for change in changes {
        match change {
            TypeChange::Clear(name) => builder.clear(name),
            TypeChange::Add(definition) => {
                builder.add_def(definition).map_err(SearchError::Type)?;
                continue;
            }
            TypeChange::Select(name) => builder.select(name),
            TypeChange::Negate(name) => builder.negate(name),
        };
    }
    builder.build().map_err(SearchError::Type)
}
