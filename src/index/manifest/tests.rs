use super::*;
use proptest::prelude::*;

fn manifest(generation: u64) -> Manifest {
    let id = SegmentId(Uuid::from_u128(7));
    let name = SegmentRef { id, bytes: 1234, checksum: u64::MAX };
    let mut fences = Fences::default();
    (1..9).for_each(|line| fences.passed(Fence { queue: line, token: FencingToken(1 << (7 * line)) }));
    Manifest {
        generation: Generation(generation),
        segments: [(id, (name, vec![0, 3, 4, 900]))].into(),
        fences,
        ancestry: Ancestry(vec![1, u64::MAX]),
    }
}

/// Commits on top of `base`; gives what was committed, or `None` when others were faster.
fn commit_on(base: &Manifest, folder: &Path, ways: &[Way]) -> Option<Manifest> {
    let generation = Manifest::next(folder, base.generation, &base.ancestry).expect("listed")?;
    let next = Manifest { generation, ancestry: base.ancestry.child(), ..manifest(0) };
    match next.commit_by(ways, folder, base.generation).expect("written") {
        Committed::Done(done) if done == Done::default() => Some(next),
        _ => None,
    }
}

fn load(folder: &Path) -> Manifest {
    Manifest::load(folder).expect("listed").manifest
}

fn refuse(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::PermissionDenied.into())
}

/// All that file systems may offer: guards against file systems on which nothing could ever be committed.
const OFFERS: [&[Way<'static>]; 3] = [&WAYS, &[&refuse, &rename_once, &copy_once], &[&refuse, &refuse, &copy_once]];

#[test]
fn only_one_writer_commits_a_generation() {
    for ways in OFFERS {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = folder.path();
        let first = commit_on(&Manifest::default(), folder, ways).expect("nobody was faster");
        assert_eq!(first.commit_by(ways, folder, Generation(0)).expect("written"), Committed::Overtaken);
        assert_eq!(commit_on(&Manifest::default(), folder, ways), None);
        let mut newest = first.clone();
        for generation in 2..20 {
            newest = commit_on(&newest, folder, ways).expect("nobody was faster");
            assert_eq!(newest.generation, Generation(generation));
        }
        // Its manifest is gone by now, and it must still not be able to commit.
        assert_eq!(commit_on(&first, folder, ways), None);
        assert_eq!(load(folder), newest);
        let files: Vec<_> = std::fs::read_dir(folder).expect("listed").map(|entry| entry.expect("an entry")).collect();
        assert_eq!(files.len() as u64, KEPT + 1, "{files:?}");
        #[cfg(unix)]
        for file in files {
            let mode = std::os::unix::fs::MetadataExt::mode(&file.metadata().expect("a file"));
            assert_eq!(mode & 0o777, 0o600, "{file:?}");
        }
    }
}

#[test]
fn another_commit_of_the_same_number_is_not_overwritten() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let first = commit_on(&Manifest::default(), folder, &WAYS).expect("nobody was faster");
    // Somebody has removed it, and another process has begun anew.
    std::fs::remove_file(path(folder, first.generation)).expect("removed");
    let other = commit_on(&Manifest::default(), folder, &WAYS).expect("nobody was faster");
    assert_eq!(other.generation, first.generation);
    assert_eq!(commit_on(&first, folder, &WAYS), None);
    assert_eq!(load(folder), other);
    // And what is lost is no reason not to go on.
    std::fs::remove_file(path(folder, other.generation)).expect("removed");
    let next = commit_on(&other, folder, &WAYS).expect("nobody was faster");
    assert_eq!((next.generation, load(folder)), (Generation(2), next));
}

/// Guards against a name that stops all commits: the highest there is, and so many others.
#[test]
fn what_is_no_manifest_stops_no_commit() {
    let valid = |generation| manifest(generation).encode();
    let long = [&MAGIC[..], &vec![7; 1 << 20]].concat();
    type Plant<'a> = &'a dyn Fn(&Path);
    let file = |bytes: Vec<u8>| move |path: &Path| std::fs::write(path, &bytes).expect("written");
    let plants: [(&str, Plant); 9] = [
        ("an empty file", &file(Vec::new())),
        ("nonsense", &file(b"nonsense".to_vec())),
        ("a long one", &file(long)),
        ("a part of one", &file(valid(2)[..20].to_vec())),
        ("another number's", &file(valid(78))),
        ("one of no number", &file(valid(0))),
        ("the last number's", &file(valid(u64::MAX))),
        ("a folder", &|path| std::fs::create_dir(path).expect("made")),
        #[cfg(target_os = "linux")]
        ("a pipe", &|path| {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).expect("made");
        }),
        #[cfg(not(target_os = "linux"))]
        ("nothing", &|_| {}),
    ];
    let numbers =
        [vec![u64::MAX], vec![2], vec![2, 3, 4, 9], vec![1 << 53, u64::MAX - 1], (2..1000).step_by(3).collect()];
    for ((what, plant), numbers) in plants.iter().flat_map(|plant| numbers.iter().map(move |n| (plant, n))) {
        for ways in OFFERS {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let folder = folder.path();
            let mut newest = commit_on(&Manifest::default(), folder, ways).expect("nobody was faster");
            numbers.iter().for_each(|number| plant(&path(folder, Generation(*number))));
            for _ in 0..7 {
                assert_eq!(load(folder), newest, "{what} at {numbers:?}");
                newest = commit_on(&newest, folder, ways).unwrap_or_else(|| panic!("{what} at {numbers:?}"));
            }
            let found = Manifest::load(folder).expect("listed");
            assert_eq!(found.manifest, newest);
            assert!(found.unreadable.is_empty(), "{what} at {numbers:?}: {:?}", found.unreadable);
        }
    }
}

/// Where a name comes before its content, both of two who can't have seen each other learn of it, whoever is whole first.
#[test]
fn a_manifest_that_was_passed_over_while_it_was_written_is_noticed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let base = commit_on(&Manifest::default(), folder, &WAYS).expect("nobody was faster");
    let of =
        |generation| Manifest { generation: Generation(generation), ancestry: base.ancestry.child(), ..manifest(0) };
    let (slow, fast) = (of(2), of(3));
    let half = |manifest: &Manifest, to: &Path| std::fs::write(to, &manifest.encode()[..30]);
    let whole = |manifest: &Manifest, to: &Path| std::fs::write(to, manifest.encode());
    let (slow_path, fast_path) = (path(folder, slow.generation), path(folder, fast.generation));
    half(&slow, &slow_path).expect("written");
    let next = Manifest::next(folder, base.generation, &base.ancestry).expect("listed");
    assert_eq!(next, Some(fast.generation));

    // The one that passed is whole last.
    let last: Way = &|_, to| whole(&slow, &slow_path).and_then(|()| whole(&fast, to));
    let committed = fast.commit_by(&[last], folder, base.generation).expect("written");
    let passed_over = vec![slow.clone()];
    assert_eq!(committed, Committed::Done(Done { is_followed: false, passed_over }));
    assert_eq!(Manifest::next(folder, slow.generation, &slow.ancestry).expect("listed"), None, "it learns, too");

    // The one that was passed is whole last.
    half(&slow, &slow_path).expect("written");
    let last: Way = &|_, to| whole(&fast, &fast_path).and_then(|()| whole(&slow, to));
    let committed = slow.commit_by(&[last], folder, base.generation).expect("written");
    assert_eq!(committed, Committed::Done(Done { is_followed: true, passed_over: Vec::new() }));
}

#[test]
fn a_commit_that_others_have_built_on_is_recognised() {
    let mut newest = Ancestry::default().child();
    let (ours, never) = (newest.clone(), newest.child());
    for _ in 0..MOST_ANCESTORS - 1 {
        newest = newest.child();
    }
    assert!(newest.is_built_on(&ours) && newest.is_built_on(&newest));
    assert!(!newest.is_built_on(&never) && !ours.is_built_on(&newest));
    assert!(!newest.child().is_built_on(&ours), "they are bounded");
}

#[test]
fn a_commit_under_an_older_token_of_the_same_line_is_refused() {
    let fence = |line, token| Fence { queue: line, token: FencingToken(token) };
    let mut fences = Fences::default();
    assert!(!fences.refuse(fence(1, 0)));
    fences.passed(fence(1, 5));
    fences.passed(fence(2, 3));
    assert!(fences.refuse(fence(1, 4)) && fences.refuse(fence(2, 2)));
    assert!(!fences.refuse(fence(1, 5)) && !fences.refuse(fence(2, 4)) && !fences.refuse(fence(3, 1)));
    assert_eq!(fences.highest(), FencingToken(5));
}

#[test]
fn a_damaged_manifest_is_passed_over() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let first = commit_on(&Manifest::default(), folder, &WAYS).expect("nobody was faster");
    let second = commit_on(&first, folder, &WAYS).expect("nobody was faster");
    std::fs::write(path(folder, second.generation), b"nonsense").expect("written");
    let found = Manifest::load(folder).expect("listed");
    assert_eq!(found, Found { manifest: first.clone(), unreadable: vec![path(folder, second.generation)] });
    // Whoever has it in memory goes on from there, and others don't take its number once more.
    for (base, next) in [(&second, 3), (&first, 3)] {
        assert_eq!(Manifest::next(folder, base.generation, &base.ancestry).expect("listed"), Some(Generation(next)));
    }
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
        Manifest::decode(&bytes);
        let mut sealed = MAGIC.to_vec();
        sealed.extend_from_slice(&bytes);
        sealed.extend_from_slice(&xxh3_64(&sealed).to_le_bytes());
        Manifest::decode(&sealed);
    }

    #[test]
    fn a_flipped_bit_is_noticed(bit in 0usize..500) {
        let mut bytes = manifest(5).encode();
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(Manifest::decode(&bytes), None);
    }
}
