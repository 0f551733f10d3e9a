//! Where in the original each byte of a view comes from.

use std::ops::Range;

/// From the bytes of a view to the bytes of the original.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Map {
    /// In the order of the view, without gaps; empty for the identity.
    segments: Vec<Segment>,
    /// Length of the view in bytes.
    len: usize,
}

/// How the bytes of a segment stand to those of the text they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Byte for byte.
    Same,
    /// Byte for byte from the end backwards.
    Mirror,
    /// All of them come from all of the others.
    Whole,
}

/// A stretch of a view, from `at` up to the next segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    at: usize,
    from: usize,
    to: usize,
    how: How,
}

/// One text being written from another; what is not replaced is kept.
#[derive(Debug)]
pub(super) struct Rewrite<'s> {
    source: &'s str,
    out: String,
    map: Map,
    /// Bytes of the source that were dealt with.
    done: usize,
    is_changed: bool,
}

impl Map {
    /// The map of a text to itself.
    pub fn identity(len: usize) -> Self {
        Self { segments: Vec::new(), len }
    }

    /// Whether view and original are the same text.
    pub fn is_identity(&self) -> bool {
        self.segments.is_empty()
    }

    /// The smallest range of the original that holds all that `range` of the view was made from. Both in bytes; a
    /// range beyond the view is cut at its end.
    ///
    /// Where a span was decoded as a whole (base64), any byte of the decoded text leads to the whole encoded span.
    pub fn origin(&self, range: Range<usize>) -> Range<usize> {
        let range = range.start.min(self.len)..range.end.min(self.len);
        let mut hull: Option<Range<usize>> = None;
        self.pieces(range.clone(), |piece| {
            let known = hull.take().unwrap_or(piece.from..piece.to);
            hull = Some(known.start.min(piece.from)..known.end.max(piece.to));
        });
        hull.unwrap_or_else(|| {
            let at = if range.start == 0 { 0 } else { self.origin(range.start - 1..range.start).end };
            at..at
        })
    }

    /// Calls `each` with the parts of the original that `range` of the view comes from, in the order of the view;
    /// `at` is counted from the start of `range`.
    fn pieces(&self, range: Range<usize>, mut each: impl FnMut(Segment)) {
        if range.is_empty() {
            return;
        }
        if self.segments.is_empty() {
            each(Segment { at: 0, from: range.start, to: range.end, how: How::Same });
            return;
        }
        let first = self.segments.partition_point(|segment| segment.at <= range.start).saturating_sub(1);
        let ends = self.segments.iter().skip(first + 1).map(|segment| segment.at).chain([self.len]);
        for (segment, end) in self.segments.iter().skip(first).zip(ends) {
            if segment.at >= range.end {
                return;
            }
            let (a, b) = (segment.at.max(range.start), end.min(range.end));
            if a >= b {
                continue;
            }
            let (from, to) = match segment.how {
                How::Same => (segment.from + (a - segment.at), segment.from + (b - segment.at)),
                How::Mirror => (segment.to - (b - segment.at), segment.to - (a - segment.at)),
                How::Whole => (segment.from, segment.to),
            };
            each(Segment { at: a - range.start, from, to, how: segment.how });
        }
    }

    /// Appends `len` bytes that come from `from..to`; neighbours that say the same become one.
    fn push(&mut self, len: usize, from: usize, to: usize, how: How) {
        if len == 0 {
            return;
        }
        let at = self.len;
        self.len += len;
        if let Some(last) = self.segments.last_mut() {
            match (last.how, how) {
                (How::Same, How::Same) if last.to == from => {
                    last.to = to;
                    return;
                }
                (How::Mirror, How::Mirror) if last.from == to => {
                    last.from = from;
                    return;
                }
                (How::Whole, How::Whole) if (last.from, last.to) == (from, to) => return,
                _ => {}
            }
        }
        self.segments.push(Segment { at, from, to, how });
    }

    /// This map, of a text that was made from a text with the map `before`.
    pub(super) fn after(&self, before: &Self) -> Self {
        if before.is_identity() {
            return self.clone();
        }
        if self.is_identity() {
            return before.clone();
        }
        let mut joined = Self::default();
        let ends = self.segments.iter().skip(1).map(|segment| segment.at).chain([self.len]);
        for (segment, end) in self.segments.iter().zip(ends) {
            let len = end - segment.at;
            let range = segment.from..segment.to;
            match segment.how {
                How::Whole => {
                    let origin = before.origin(range);
                    joined.push(len, origin.start, origin.end, How::Whole);
                }
                How::Same => before.split(range, |len, from, to, how| joined.push(len, from, to, how)),
                How::Mirror => {
                    let mut parts = Vec::new();
                    before.split(range, |len, from, to, how| parts.push((len, from, to, how)));
                    for (len, from, to, how) in parts.into_iter().rev() {
                        let how = match how {
                            How::Same => How::Mirror,
                            How::Mirror => How::Same,
                            How::Whole => How::Whole,
                        };
                        joined.push(len, from, to, how);
                    }
                }
            }
        }
        joined
    }

    /// [`Map::pieces`] with the length of each in the view.
    fn split(&self, range: Range<usize>, mut each: impl FnMut(usize, usize, usize, How)) {
        let len = range.len();
        let mut open: Option<Segment> = None;
        self.pieces(range, |piece| {
            if let Some(known) = open.replace(piece) {
                each(piece.at - known.at, known.from, known.to, known.how);
            }
        });
        if let Some(last) = open {
            each(len - last.at, last.from, last.to, last.how);
        }
    }

    /// The map of a part of the view.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let mut part = Self::default();
        self.split(range, |len, from, to, how| part.push(len, from, to, how));
        part
    }
}

impl<'s> Rewrite<'s> {
    /// Starts with nothing replaced.
    pub(super) fn new(source: &'s str) -> Self {
        Self { source, out: String::new(), map: Map::default(), done: 0, is_changed: false }
    }

    /// Puts `text` in the place of `range`, which lies behind everything replaced so far and on the borders of
    /// characters. With [`How::Same`] and [`How::Mirror`] it is as long as what it replaces.
    pub(super) fn replace(&mut self, range: Range<usize>, text: &str, how: How) {
        if range.start < self.done || range.end < range.start {
            return;
        }
        let how = if text.len() == range.len() { how } else { How::Whole };
        self.keep(range.start);
        self.out.push_str(text);
        self.map.push(text.len(), range.start, range.end, how);
        self.done = range.end;
        self.is_changed = true;
    }

    fn keep(&mut self, to: usize) {
        if self.done < to {
            self.out.push_str(self.source.get(self.done..to).unwrap_or_default());
            self.map.push(to - self.done, self.done, to, How::Same);
        }
    }

    /// The new text with its map to the source; `None` if nothing was replaced.
    pub(super) fn finish(mut self) -> Option<(String, Map)> {
        if !self.is_changed {
            return None;
        }
        self.keep(self.source.len());
        Some((self.out, self.map))
    }
}
