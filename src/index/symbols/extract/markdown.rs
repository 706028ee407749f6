//! Markdown.

use tree_sitter::Node;

use super::finder::{Finder, Span};
use super::rules::Rule::{By, Skip};
use super::rules::Table;

pub(super) const TABLE: Table =
    &[("atx_heading", By(heading)), ("setext_heading", By(heading)), ("fenced_code_block", Skip)];

/// A heading. The tree nests only some kinds of them.
fn heading(finder: &mut Finder<'_>, node: Node<'_>, _: u32) -> bool {
    let level = (0..node.child_count() as u32).filter_map(|at| node.child(at)).find_map(|child| match child.kind() {
        "setext_h1_underline" => Some(1),
        "setext_h2_underline" => Some(2),
        kind => kind.strip_prefix("atx_h")?.get(..1)?.parse().ok(),
    });
    let (Some(level), Some(content)) = (level, node.child_by_field_name("heading_content")) else { return true };
    let text = finder.text_of(content);
    let before = text.len() - text.trim_start().len();
    let Some(mut name) = text.trim().lines().next() else { return true };
    if node.kind() == "atx_heading" {
        // The signs that close it are no part of it.
        let open = name.trim_end_matches('#');
        if open.len() < name.len() && (open.is_empty() || open.ends_with([' ', '\t'])) {
            name = open.trim_end();
        }
    }
    finder.heading(level, Span::of(content).without_first(before).first(name.len()));
    true
}
