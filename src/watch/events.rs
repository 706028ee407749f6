//! Events of the file system, folded into changes. All of it runs on notify's own thread.

use std::path::Path;
use std::sync::atomic::Ordering;

use notify::Event;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};

use super::changes::Born;
use super::tree::decides_what_is_ignored;
use super::{Shared, lock};
use crate::core::RelPath;

impl Shared {
    /// Nothing that is known of the watches can be trusted any more.
    pub(super) fn lose(&self) {
        self.is_lost.store(true, Ordering::SeqCst);
        lock(&self.changes).see_everything();
        self.changed.notify_one();
    }

    /// Called by notify's own thread: it only takes notes, since events are lost while it is busy.
    pub(super) fn take_event(&self, number: u64, event: notify::Result<Event>) {
        match event {
            Ok(event) if event.need_rescan() => {
                // Cookies may be among what was lost: who waits for one makes another.
                self.cookies.forget_all();
                self.lose();
            }
            Ok(event) => {
                let born = match event.kind {
                    // Our own reading raises these; only the end of a write tells of a change.
                    EventKind::Access(AccessKind::Close(AccessMode::Write)) => Born::No,
                    EventKind::Access(_) => return,
                    EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => {
                        Born::Maybe
                    }
                    EventKind::Modify(ModifyKind::Name(_)) | EventKind::Any | EventKind::Other => Born::Maybe,
                    EventKind::Modify(ModifyKind::Metadata(_)) => Born::Access,
                    EventKind::Modify(_) | EventKind::Remove(_) => Born::No,
                };
                let moved = matches!(event.kind, EventKind::Modify(ModifyKind::Name(_)));
                let leaves = moved || event.kind.is_remove();
                for path in &event.paths {
                    self.take_path(number, path, born, moved, leaves);
                }
            }
            Err(error) => {
                // Whatever it was, the next walk finds what it hid.
                tracing::warn!(%error, "file events had an error; looking at the whole tree");
                self.lose();
            }
        }
        self.changed.notify_one();
    }

    /// `moved`: what is there has another name now, or had one before; `leaves`: or it is gone.
    fn take_path(&self, number: u64, path: &Path, born: Born, moved: bool, leaves: bool) {
        if path.starts_with(self.cookies.folder()) {
            if number == self.newest.load(Ordering::SeqCst) {
                self.cookies.seen(path);
            }
            return;
        }
        // A root that went away comes back as another folder.
        if path == self.root {
            return if leaves { self.lose() } else { lock(&self.changes).see_everything() };
        }
        // A folder that moved or went takes its watch along, also when another has its name by now.
        let was_entered = leaves && {
            let mut folders = lock(&self.folders);
            let was_entered = folders.holds(path);
            folders.forget(path);
            was_entered
        };
        if moved && was_entered {
            return lock(&self.changes).see_everything();
        }
        self.note(path, born);
    }

    pub(super) fn note(&self, path: &Path, born: Born) {
        self.note_at(path, born);
        let others = path.parent().map_or_else(Vec::new, |parent| lock(&self.folders).other_names(parent));
        for (other, name) in others.iter().zip(std::iter::repeat(path.file_name().unwrap_or_default())) {
            self.note_at(&other.join(name), born);
        }
    }

    fn note_at(&self, path: &Path, mut born: Born) {
        let Some(relative) = RelPath::below(&self.root, path) else { return };
        if decides_what_is_ignored(&relative) {
            return lock(&self.changes).see_everything();
        }
        {
            let folders = lock(&self.folders);
            if !path.parent().is_some_and(|parent| folders.holds(parent)) {
                return;
            }
            let is_folder = folders.holds(path) && path.is_dir();
            match born {
                // A folder's own data says nothing about files.
                Born::No if is_folder => return,
                Born::Access if !is_folder && !folders.is_unlisted(path) => born = Born::No,
                _ => {}
            }
        }
        let mut changes = lock(&self.changes);
        if !changes.everything {
            changes.add(relative, born);
        }
    }
}
