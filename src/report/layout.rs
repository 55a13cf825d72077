//! Where the steps of a graph stand: in layers from above, each below everything it waits for.
//! Whole numbers only, so that the same graph gives the same picture everywhere.

use std::collections::BTreeSet;

/// A node's size, and what is free between nodes.
pub(super) const NODE_WIDTH: i64 = 196;
pub(super) const NODE_HEIGHT: i64 = 46;
const BETWEEN: i64 = 22;
const BETWEEN_LAYERS: i64 = 34;
const MARGIN: i64 = 8;

/// How many nodes stand in one layer.
const WIDEST: usize = 5;

/// How wide the lane of an arrow is that passes a layer.
const LANE: i64 = 14;

/// More nodes, or more places where arrows pass a layer, make no picture anybody reads.
const NODES: usize = 400;
const LANES: usize = 4_000;

/// How often places and orders are improved; more changes nothing one sees.
const ROUNDS: usize = 6;

/// An arrow: which node it comes from, which one waits, and whether somebody wrote that down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrow {
    pub from: usize,
    pub to: usize,
    pub written: bool,
}

/// A drawn graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub width: i64,
    pub height: i64,
    /// The middle of the upper edge of each node.
    pub nodes: Vec<(i64, i64)>,
    /// The points each arrow goes through, from the lower edge of a node to the upper edge of
    /// another, by way of the lanes between.
    pub arrows: Vec<(Arrow, Vec<(i64, i64)>)>,
}

/// One thing of a layer: a node, or the lane of an arrow.
#[derive(Debug, Clone)]
struct Place {
    node: Option<usize>,
    /// Places of the layer above it hangs on, and of the layer below.
    above: Vec<usize>,
    below: Vec<usize>,
    x: i64,
}

/// Lays a graph without circles out; nothing where it is too large to be read.
pub(super) fn layered(count: usize, arrows: &[Arrow]) -> Option<Layout> {
    if count > NODES {
        return None;
    }
    let layer_of = layers(count, arrows);
    let lanes: usize =
        arrows.iter().map(|a| (layer_of[a.to] - layer_of[a.from]).saturating_sub(1)).sum();
    if lanes > LANES {
        return None;
    }
    let depth = layer_of.iter().max().map_or(0, |deepest| deepest + 1);
    let mut places: Vec<Place> = (0..count)
        .map(|node| Place { node: Some(node), above: Vec::new(), below: Vec::new(), x: 0 })
        .collect();
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); depth];
    for (node, layer) in layer_of.iter().enumerate() {
        rows[*layer].push(node);
    }
    let mut ways: Vec<Vec<usize>> = Vec::with_capacity(arrows.len());
    for arrow in arrows {
        let mut way = vec![arrow.from];
        for row in &mut rows[layer_of[arrow.from] + 1..layer_of[arrow.to]] {
            row.push(places.len());
            way.push(places.len());
            places.push(Place { node: None, above: Vec::new(), below: Vec::new(), x: 0 });
        }
        way.push(arrow.to);
        for pair in way.windows(2) {
            places[pair[0]].below.push(pair[1]);
            places[pair[1]].above.push(pair[0]);
        }
        ways.push(way);
    }
    untangle(&mut rows, &places);
    place(&rows, &mut places);
    let left = places.iter().map(Place::left).min().unwrap_or(0);
    let right = places.iter().map(|place| place.x + place.half()).max().unwrap_or(0);
    for place in &mut places {
        place.x += MARGIN - left;
    }
    let top =
        |layer: usize| MARGIN + i64::try_from(layer).unwrap_or(0) * (NODE_HEIGHT + BETWEEN_LAYERS);
    let nodes: Vec<(i64, i64)> =
        (0..count).map(|node| (places[node].x, top(layer_of[node]))).collect();
    let drawn = arrows.iter().zip(&ways).map(|(arrow, way)| {
        let mut points = Vec::with_capacity(way.len() * 2);
        for (layer, &at) in (layer_of[arrow.from]..).zip(way) {
            let (x, y) = (places[at].x, top(layer));
            if layer > layer_of[arrow.from] {
                points.push((x, y));
            }
            if layer < layer_of[arrow.to] {
                points.push((x, y + NODE_HEIGHT));
            }
        }
        (*arrow, points)
    });
    Some(Layout {
        width: right - left + 2 * MARGIN,
        height: top(depth) - BETWEEN_LAYERS + MARGIN,
        arrows: drawn.collect(),
        nodes,
    })
}

impl Place {
    fn half(&self) -> i64 {
        if self.node.is_some() { NODE_WIDTH / 2 } else { LANE / 2 }
    }

    fn left(&self) -> i64 {
        self.x - self.half()
    }
}

/// The layer of each node: below everything it waits for, and never too many in one.
fn layers(count: usize, arrows: &[Arrow]) -> Vec<usize> {
    let mut waits = vec![0usize; count];
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); count];
    for arrow in arrows {
        waits[arrow.to] += 1;
        out[arrow.from].push(arrow.to);
    }
    let mut open: BTreeSet<usize> = (0..count).filter(|node| waits[*node] == 0).collect();
    let mut layer = vec![0; count];
    let mut taken: Vec<usize> = Vec::new();
    while let Some(node) = open.pop_first() {
        while taken.get(layer[node]).is_some_and(|taken| *taken >= WIDEST) {
            layer[node] += 1;
        }
        taken.resize(taken.len().max(layer[node] + 1), 0);
        taken[layer[node]] += 1;
        for &next in &out[node] {
            layer[next] = layer[next].max(layer[node] + 1);
            waits[next] -= 1;
            if waits[next] == 0 {
                open.insert(next);
            }
        }
    }
    layer
}

/// Orders each layer by where its neighbours stand, so that few arrows cross.
fn untangle(rows: &mut [Vec<usize>], places: &[Place]) {
    let mut at = vec![0i64; places.len()];
    let number = |rows: &[Vec<usize>], at: &mut [i64]| {
        for row in rows {
            for (n, place) in (0..).zip(row) {
                at[*place] = n;
            }
        }
    };
    number(rows, &mut at);
    let mean = |near: &[usize], own: i64, at: &[i64]| match i64::try_from(near.len()) {
        Ok(count) if count > 0 => near.iter().map(|n| at[*n]).sum::<i64>() * 1_000 / count,
        _ => own * 1_000,
    };
    for round in 0..ROUNDS {
        let down = round % 2 == 0;
        for n in 0..rows.len() {
            let n = if down { n } else { rows.len() - 1 - n };
            let near = |place: usize| {
                if down { &places[place].above } else { &places[place].below }
            };
            // Stable: what has no reason to move stays in launch order.
            rows[n].sort_by_key(|place| mean(near(*place), at[*place], &at));
            for (n, place) in (0..).zip(&rows[n]) {
                at[*place] = n;
            }
        }
    }
}

/// Moves everything towards its neighbours as far as those beside it let it.
fn place(rows: &[Vec<usize>], places: &mut [Place]) {
    for row in rows {
        let wanted = vec![0; row.len()];
        settle(row, &wanted, places);
    }
    for round in 0..2 * ROUNDS {
        let down = round % 2 == 0;
        for n in 0..rows.len() {
            let row = &rows[if down { n } else { rows.len() - 1 - n }];
            let wanted: Vec<i64> = row
                .iter()
                .map(|place| {
                    let near = if down { &places[*place].above } else { &places[*place].below };
                    match i64::try_from(near.len()) {
                        Ok(count) if count > 0 => {
                            near.iter().map(|n| places[*n].x).sum::<i64>() / count
                        }
                        _ => places[*place].x,
                    }
                })
                .collect();
            settle(row, &wanted, places);
        }
    }
}

/// Puts a row where it wants to be: the mean of being pushed from the left and from the right,
/// each of which keeps everything apart.
fn settle(row: &[usize], wanted: &[i64], places: &mut [Place]) {
    let apart =
        |a: usize, b: usize, places: &[Place]| places[a].half() + places[b].half() + BETWEEN;
    let mut from_left = wanted.to_vec();
    for n in 1..row.len() {
        let least = from_left[n - 1] + apart(row[n - 1], row[n], places);
        from_left[n] = from_left[n].max(least);
    }
    let mut from_right = wanted.to_vec();
    for n in (1..row.len()).rev() {
        let most = from_right[n] - apart(row[n - 1], row[n], places);
        from_right[n - 1] = from_right[n - 1].min(most);
    }
    for (n, place) in row.iter().enumerate() {
        places[*place].x = (from_left[n] + from_right[n]).div_euclid(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow(from: usize, to: usize) -> Arrow {
        Arrow { from, to, written: false }
    }

    #[test]
    fn everything_stands_below_what_it_waits_for_and_beside_nothing_else() {
        let fans: Vec<Arrow> =
            (1..=13).flat_map(|n| [arrow(0, n), arrow(n, 14)]).chain([arrow(0, 15)]).collect();
        let layout = layered(16, &fans).expect("a picture");
        for Arrow { from, to, .. } in &fans {
            assert!(layout.nodes[*from].1 < layout.nodes[*to].1, "{from} {to}");
        }
        for (a, one) in layout.nodes.iter().enumerate() {
            assert!(one.0 - NODE_WIDTH / 2 >= 0 && one.0 + NODE_WIDTH / 2 <= layout.width);
            assert!(one.1 + NODE_HEIGHT <= layout.height);
            for two in &layout.nodes[a + 1..] {
                let apart = (one.0 - two.0).abs() >= NODE_WIDTH;
                assert!(one.1 != two.1 || apart, "{one:?} {two:?}");
            }
        }
        for (arrow, points) in &layout.arrows {
            let (from, to) = (layout.nodes[arrow.from], layout.nodes[arrow.to]);
            assert_eq!(points.first(), Some(&(from.0, from.1 + NODE_HEIGHT)));
            assert_eq!(points.last(), Some(&to));
            assert!(points.windows(2).all(|pair| pair[0].1 < pair[1].1), "{points:?}");
        }
    }

    #[test]
    fn a_chain_is_a_straight_line() {
        let chain: Vec<Arrow> = (0..9).map(|n| arrow(n, n + 1)).collect();
        let layout = layered(10, &chain).expect("a picture");
        assert!(layout.nodes.iter().all(|node| node.0 == layout.nodes[0].0));
        assert_eq!(layout.width, NODE_WIDTH + 2 * MARGIN);
    }

    #[test]
    fn what_nobody_could_read_is_not_drawn() {
        assert_eq!(layered(NODES + 1, &[]), None);
        // Every node waits for every lower one.
        let all: Vec<Arrow> =
            (0..60).flat_map(|to| (0..to).map(move |from| arrow(from, to))).collect();
        assert_eq!(layered(60, &all), None);
    }
}
