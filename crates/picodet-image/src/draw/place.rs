//! Chooses where a caption goes.

use super::rect::Rect;

/// Cost of covering a whole caption that was placed before.
const OVER_CAPTION: f64 = 1000.0;
/// Cost of covering a whole box of another object.
const OVER_BOX: f64 = 4.0;
/// Cost of covering the whole box that the caption belongs to.
const OVER_OWN_BOX: f64 = 6.0;
/// Maximum distance of a caption from its box, in caption heights, when every adjacent place is occupied.
const ROWS_AWAY: i32 = 6;

/// Returns the rectangle inside `bounds` for a caption of `size` = (width, height) pixels of `boxes[own]`.
///
/// The first choice is above the left end of the upper edge; other places along the edges, inside and outside
/// the box, cost more, and covering one of the captions in `taken` costs most.
pub(super) fn place(size: (i32, i32), boxes: &[Rect], own: usize, bounds: Rect, taken: &[Rect]) -> Rect {
    let cost = |candidate: Rect, preference: f64| {
        let area = candidate.area().max(1) as f64;
        let covered = |other: &Rect| candidate.overlap(*other) as f64 / other.area().max(1) as f64;
        let captions: i64 = taken.iter().map(|other| candidate.overlap(*other)).sum();
        let others = boxes.iter().enumerate().filter(|(index, _)| *index != own);
        let others: f64 = others.map(|(_, other)| covered(other)).sum();
        preference
            + OVER_CAPTION * captions as f64 / area
            + OVER_BOX * others
            + OVER_OWN_BOX * covered(&boxes[own])
    };
    // The cheapest of the places that are inside the bounds, after shifting them horizontally.
    let cheapest = |places: Vec<(i32, i32, f64)>| {
        let inside = places.into_iter().filter_map(|(left, top, preference)| {
            let left = left.min(bounds.right - size.0).max(bounds.left);
            let candidate = Rect::new(left, top, size.0, size.1);
            bounds.contains(candidate).then(|| (cost(candidate, preference), candidate))
        });
        inside.min_by(|a, b| a.0.total_cmp(&b.0))
    };
    let touching = cheapest(along_edges(size, boxes[own]));
    if let Some((_, best)) = touching
        && taken.iter().all(|other| best.overlap(*other) == 0)
    {
        return best;
    }
    let distant = cheapest(further_away(size, boxes[own]));
    let best = touching.into_iter().chain(distant).min_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or(Rect::new(bounds.left, bounds.top, size.0, size.1), |best| best.1)
}

/// Left, top and preference (lower is better) of the places that touch the box.
fn along_edges((width, height): (i32, i32), bbox: Rect) -> Vec<(i32, i32, f64)> {
    let mut places = Vec::new();
    let rows = [(bbox.top - height, 0.0), (bbox.top, 1.0), (bbox.bottom, 2.0), (bbox.bottom - height, 2.5)];
    for (top, preference) in rows {
        for (left, further) in columns(width, bbox) {
            places.push((left, top, preference + further));
        }
    }
    let middle = bbox.top + (bbox.height() - height) / 2;
    for (top, further) in [(bbox.top, 0.0), (middle, 0.3), (bbox.bottom - height, 0.3)] {
        places.push((bbox.right, top, 3.0 + further));
        places.push((bbox.left - width, top, 3.2 + further));
    }
    // Inside a large box there is often room when its edges are full.
    for row in 1..=8 {
        let top = bbox.top + row * height;
        if top + 2 * height > bbox.bottom {
            break;
        }
        for (left, further) in columns(width, bbox) {
            places.push((left, top, 4.0 + 0.2 * f64::from(row) + further));
        }
    }
    places
}

/// Positions along a horizontal edge.
fn columns(width: i32, bbox: Rect) -> [(i32, f64); 6] {
    let slack = bbox.width() - width;
    [
        (bbox.left, 0.0),
        (bbox.left + slack, 0.4),
        (bbox.left + slack / 2, 0.5),
        (bbox.left + slack / 4, 0.55),
        (bbox.left + slack - slack / 4, 0.6),
        (bbox.left - width / 2, 0.8),
    ]
}

/// Places in rows above and below that no longer touch the box.
fn further_away((width, height): (i32, i32), bbox: Rect) -> Vec<(i32, i32, f64)> {
    let mut places = Vec::new();
    for row in 1..=ROWS_AWAY {
        for top in [bbox.top - height * (row + 1), bbox.bottom + height * row] {
            for (left, further) in columns(width, bbox) {
                places.push((left, top, 8.0 + 2.0 * f64::from(row) + further));
            }
        }
        for top in [bbox.top - height * row, bbox.bottom + height * (row - 1)] {
            for left in [bbox.left - width, bbox.right] {
                places.push((left, top, 8.0 + 2.0 * f64::from(row)));
            }
        }
    }
    places
}
