//! Mermaid flowcharts between tasks: `T013 --> T026`, `A[T001 Setup] -.-> B`.

use std::collections::BTreeMap;

use super::ids::{self, Spelling};

/// A link between two nodes, as Mermaid spells it; longer ones first.
const LINKS: [&str; 8] = ["-.->", "-..->", "---->", "--->", "===>", "==>", "-->", "~~~>"];

/// Reads a diagram's edges as (line, prerequisite, dependent); a graph of phases gives none.
pub(super) fn edges(rows: &[(u32, &str)], spelling: Spelling) -> Vec<(u32, String, String)> {
    let flow = rows
        .iter()
        .map(|(_, row)| row.trim())
        .find(|row| !row.is_empty() && !row.starts_with("%%") && !row.starts_with("---"));
    if !flow.is_some_and(|row| row.starts_with("graph") || row.starts_with("flowchart")) {
        return Vec::new();
    }
    // A label stands once, wherever the node is drawn first.
    let mut labels = BTreeMap::new();
    for (_, row) in rows {
        for side in sides(row) {
            side.split('&').for_each(|node| label(node, spelling, &mut labels));
        }
    }
    let mut edges = Vec::new();
    for (line, row) in rows {
        let sides = sides(row);
        for pair in sides.windows(2) {
            for from in pair[0].split('&').filter_map(|node| task(node, spelling, &labels)) {
                for to in pair[1].split('&').filter_map(|node| task(node, spelling, &labels)) {
                    edges.push((*line, from.clone(), to));
                }
            }
        }
    }
    edges
}

/// Cuts a row at its links, taking `|words|` off the right-hand side.
fn sides(row: &str) -> Vec<&str> {
    let mut sides = Vec::new();
    let mut rest = row.trim().trim_end_matches(';');
    loop {
        let next = LINKS.iter().filter_map(|link| Some((rest.find(link)?, link.len()))).min();
        let Some((at, length)) = next else {
            sides.push(rest);
            return sides;
        };
        // `A -- words --> B`: the words belong to the link.
        let left = rest[..at].split(" -- ").next().unwrap_or("");
        sides.push(left);
        rest = rest[at + length..].trim_start();
        if let Some(labelled) = rest.strip_prefix('|') {
            rest = labelled.split_once('|').map_or(labelled, |(_, after)| after);
        }
    }
}

/// Splits a node into its name and what its brackets hold.
fn node(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(['[', '(', '{', '>']).unwrap_or(text.len());
    let inner = text[end..].trim_matches(|c: char| "[](){}<>/\\\" ".contains(c));
    (text[..end].trim(), inner)
}

fn label(text: &str, spelling: Spelling, labels: &mut BTreeMap<String, String>) {
    let (name, inner) = node(text);
    if let Some((_, id)) = spelling.lex(inner) {
        labels.entry(name.to_owned()).or_insert_with(|| ids::folded(&id));
    }
}

fn task(text: &str, spelling: Spelling, labels: &BTreeMap<String, String>) -> Option<String> {
    let (name, _) = node(text);
    let name = name.split(":::").next().unwrap_or(name);
    match spelling.lex(name) {
        Some((length, id)) if length == name.len() => Some(ids::folded(&id)),
        _ => labels.get(name).cloned(),
    }
}
