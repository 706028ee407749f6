//! Files whose text another program makes: compressed ones, and those of `--pre`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use grep_cli::{CommandReader, CommandReaderBuilder, DecompressionReader, DecompressionReaderBuilder, resolve_binary};
use ignore::overrides::{Override, OverrideBuilder};

use super::SearchError;
use super::arguments::Reading;

/// Which files another program makes text of.
#[derive(Clone, Debug)]
pub(super) struct Unpacking {
    program: Option<PathBuf>,
    globs: Override,
    archives: Option<DecompressionReaderBuilder>,
}

/// What another program makes of a file.
pub(super) enum Unpacked {
    /// The program of `--pre`, as it was called.
    Program(CommandReader, String),
    /// One that unpacks.
    Archive(DecompressionReader),
}

impl Unpacking {
    /// What `reading` asks for; globs are relative to `here`.
    ///
    /// # Errors
    /// When there is no such program, or a glob isn't one.
    pub(super) fn new(reading: &Reading, here: &Path) -> Result<Unpacking, SearchError> {
        let mut globs = OverrideBuilder::new(here);
        for glob in &reading.pre_globs {
            globs.add(glob).map_err(SearchError::Glob)?;
        }
        let program = |program: &PathBuf| {
            resolve_binary(program).map_err(|error| SearchError::Pre(program.display().to_string(), error.to_string()))
        };
        let archives = reading.zip.then(|| {
            let mut builder = DecompressionReaderBuilder::new();
            builder.async_stderr(true);
            builder
        });
        Ok(Unpacking {
            program: reading.pre.as_ref().map(program).transpose()?,
            globs: globs.build().map_err(SearchError::Glob)?,
            archives,
        })
    }

    /// What another program makes of the file at `path`; `None` when none does.
    ///
    /// # Errors
    /// When it can't be started, or the file can't be read.
    pub(super) fn of(&self, path: &Path) -> io::Result<Option<Unpacked>> {
        if let Some(program) = &self.program
            && (self.globs.is_empty() || !self.globs.matched(path, false).is_ignore())
        {
            let mut command = Command::new(program);
            command.arg(path).stdin(Stdio::from(File::open(path)?));
            let called = format!("{command:?}");
            let mut builder = CommandReaderBuilder::new();
            let reader = builder.async_stderr(true).build(&mut command);
            let reader = reader.map_err(|error| io::Error::other(format!("can't start {called}: {error}")))?;
            return Ok(Some(Unpacked::Program(reader, called)));
        }
        match self.archives.as_ref().filter(|archives| archives.get_matcher().has_command(path)) {
            Some(archives) => Ok(Some(Unpacked::Archive(archives.build(path)?))),
            None => Ok(None),
        }
    }
}

impl Unpacked {
    /// Ends the program; whether it did well.
    ///
    /// # Errors
    /// What it said, when it failed.
    pub(super) fn close(self) -> io::Result<()> {
        match self {
            Unpacked::Program(mut reader, _) => reader.close(),
            Unpacked::Archive(mut reader) => reader.close(),
        }
    }
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Unpacked::Program(reader, called) => {
                reader.read(buffer).map_err(|error| io::Error::other(format!("{called} failed: {error}")))
            }
            Unpacked::Archive(reader) => reader.read(buffer),
        }
    }
}
