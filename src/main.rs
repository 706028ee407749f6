//! x
use std::time::Instant;
use syncline::{core::*, index::*, watch::tree::*};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let root = std::path::PathBuf::from(&a[1]).canonicalize().unwrap();
    let t = Instant::now();
    let (index, p) = Index::open(std::path::Path::new(&a[2])).unwrap();
    eprintln!("open {:?} {p:?} gen {:?} files {}", t.elapsed(), index.snapshot().generation, index.snapshot().files());
    let rules = TreeRules::new(&root, false, &[]).unwrap();
    let cancel = tokio_util::sync::CancellationToken::new();
    let t = Instant::now();
    let tree = rules.scan(&root, 2, &cancel, &|_| {}).unwrap();
    eprintln!("scan {:?} {}", t.elapsed(), tree.files.len());
    let t = Instant::now();
    let d = index.snapshot().difference(&tree.files, 4 << 20);
    eprintln!("diff {:?} {} {}", t.elapsed(), d.changed.len(), d.gone.len());
    let overlay = Overlay::default();
    overlay.mark(d.changed.into_iter().map(|p| (p, Verdict::Read)));
    overlay.mark(d.gone.into_iter().map(|p| (p, Verdict::Gone)));
    let t = Instant::now();
    let u = Update {
        index: &index,
        root: &root,
        overlay: &overlay,
        max_file_bytes: 4 << 20,
        threads: 2,
        cancel: &cancel,
        progress: &|_, _| {},
    }
    .run(&Dirty::Everything)
    .unwrap();
    eprintln!("update {:?} {u:?} bytes {} segs ", t.elapsed(), index.snapshot().bytes());
    for p in &a[3..] {
        let t = Instant::now();
        let q = Query::new(&Pattern { patterns: vec![p.clone()], ..Default::default() }).unwrap();
        let view = View { dirty: overlay.view(), snapshot: index.snapshot(), unsaved: Default::default() };
        let c = view.candidates(&q.plan, |_| true);
        let t1 = t.elapsed();
        let mut n = 0;
        let mut f = 0;
        find_matches(&root, &q, &c.files, Limits { max_results: usize::MAX, threads: 2 }, &cancel, |m| {
            n += m.lines.len();
            f += 1;
            std::ops::ControlFlow::Continue(())
        });
        eprintln!("{p}: {n} lines {f} files of {} candidates, plan {:?} total {:?}", c.files.len(), t1, t.elapsed());
    }
}
