//! A value together with the place it came from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The place a value came from; it prints (and serializes) as a person would look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag, with its dashes.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// A line of a settings file, counted from 1.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line of the key.
        line: usize,
    },
    /// The name of the repository around the working directory.
    RepositoryName,
    /// Nobody set it.
    Default,
}

impl Source {
    /// A value from here.
    pub(super) fn of<T>(&self, value: T) -> Sourced<T> {
        Sourced { value, source: self.clone() }
    }

    /// Whether it was said on the command line.
    pub(super) fn is_flag(&self) -> bool {
        matches!(self, Source::Flag(_))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag(flag) => write!(f, "flag {flag}"),
            Source::Environment(variable) => write!(f, "environment {variable}"),
            Source::File { path, line } => write!(f, "{}:{line}", path.display()),
            Source::RepositoryName => f.write_str("repository name"),
            Source::Default => f.write_str("default"),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value and the place it came from.
#[derive(Debug, Clone)]
pub(super) struct Sourced<T> {
    pub(super) value: T,
    pub(super) source: Source,
}
