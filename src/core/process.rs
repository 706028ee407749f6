//! Other processes of this machine.

/// Whether a process of this number runs, whoever's it is. One that has ended and waits for its parent to notice doesn't.
/// `None` where the platform isn't asked.
#[cfg(unix)]
pub fn is_running(pid: u32) -> Option<bool> {
    use rustix::io::Errno;
    use rustix::process::{Pid, test_kill_process};
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Some(false) };
    // Without the right to signal a process one still learns that it is there.
    Some(matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM)) && !is_zombie(pid))
}

/// Not asked here.
#[cfg(not(unix))]
pub fn is_running(_: u32) -> Option<bool> {
    None
}

/// Some containers' first process never notices that its children have ended.
#[cfg(target_os = "linux")]
fn is_zombie(pid: rustix::process::Pid) -> bool {
    let stat = std::fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    // The name before the state is in parentheses, and may hold any.
    let state = stat.iter().rposition(|&b| b == b')').and_then(|at| stat.get(at + 2));
    matches!(state, Some(b'Z' | b'X'))
}

#[cfg(all(unix, not(target_os = "linux")))]
fn is_zombie(_: rustix::process::Pid) -> bool {
    false
}
