//! Syncline keeps a codebase's search index fresh in the background, on every save.
