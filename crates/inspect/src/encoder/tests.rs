use super::*;

#[test]
fn every_piece_is_in_a_window() {
    for count in [0, 1, WIDTH, WIDTH + 1, WIDTH + STRIDE, 1000] {
        let spans: Vec<Range<usize>> = spans(count).collect();
        assert_eq!((spans[0].start, spans[spans.len() - 1].end), (0, count));
        assert!(
            spans.windows(2).all(|two| two[1].start < two[0].end && two[0].start < two[1].start),
            "{spans:?}"
        );
        assert!(spans.iter().all(|span| span.len() <= WIDTH));
    }
}
