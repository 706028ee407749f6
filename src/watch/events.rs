//! Events of the file system, folded into changes. All of it runs on notify's own thread.

use std::path::Path;
use std::sync::atomic::Ordering;

use notify::Event;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};

use super::Shared;
use super::changes::Hint;
use super::tree::decides_what_is_ignored;
use crate::core::RelPath;

impl Shared {
    /// Nothing that is known of the watches can be trusted any more.
    pub(super) fn lose(&self) {
        self.is_lost.store(true, Ordering::SeqCst);
        self.changes.lock().see_everything();
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
                let hint = match event.kind {
                    // Our own reading raises these; only the end of a write tells of a change.
                    EventKind::Access(AccessKind::Close(AccessMode::Write)) => Hint::Changed,
                    EventKind::Access(_) => return,
                    EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => {
                        Hint::Appeared
                    }
                    EventKind::Modify(ModifyKind::Name(_)) | EventKind::Any | EventKind::Other => Hint::Appeared,
                    EventKind::Modify(ModifyKind::Metadata(_)) => Hint::Access,
                    EventKind::Modify(_) | EventKind::Remove(_) => Hint::Changed,
                };
                let moved = matches!(event.kind, EventKind::Modify(ModifyKind::Name(_)));
                let leaves = moved || event.kind.is_remove();
                for path in &event.paths {
                    self.take_path(number, path, hint, moved, leaves);
                }
            }
            Err(error) => {
                // Whatever it was, the next walk finds what it hid.
                tracing::warn!(%error, "file events had an error; the whole tree is compared");
                self.lose();
            }
        }
        self.changed.notify_one();
    }

    /// `moved`: what is there has another name now, or had one before; `leaves`: or it is gone.
    fn take_path(&self, number: u64, path: &Path, hint: Hint, moved: bool, leaves: bool) {
        if path.starts_with(self.cookies.folder()) {
            if number == self.newest.load(Ordering::SeqCst) {
                self.cookies.seen(path);
            }
            return;
        }
        // A root that went away comes back as another folder.
        if path == self.root {
            return if leaves { self.lose() } else { self.changes.lock().see_everything() };
        }
        // A folder that moved or went takes its watch along, also when another has its name by now.
        let was_entered = leaves && {
            let mut folders = self.folders.lock();
            let was_entered = folders.holds(path);
            folders.forget(path);
            was_entered
        };
        if moved && was_entered {
            return self.changes.lock().see_everything();
        }
        self.note(path, hint);
    }

    pub(super) fn note(&self, path: &Path, hint: Hint) {
        self.note_at(path, hint);
        let others = path.parent().map_or_else(Vec::new, |parent| self.folders.lock().other_names(parent));
        for (other, name) in others.iter().zip(std::iter::repeat(path.file_name().unwrap_or_default())) {
            self.note_at(&other.join(name), hint);
        }
    }

    fn note_at(&self, path: &Path, mut hint: Hint) {
        let Some(relative) = RelPath::below(&self.root, path) else { return };
        if decides_what_is_ignored(&relative) {
            return self.changes.lock().see_everything();
        }
        {
            let folders = self.folders.lock();
            if !path.parent().is_some_and(|parent| folders.holds(parent)) {
                return;
            }
            let is_folder = folders.holds(path) && path.is_dir();
            match hint {
                // A folder's own data says nothing about files.
                Hint::Changed if is_folder => return,
                Hint::Access if !is_folder && !folders.is_unlisted(path) => hint = Hint::Changed,
                _ => {}
            }
        }
        let mut changes = self.changes.lock();
        if !changes.everything {
            changes.add(relative, hint);
        }
    }
}
