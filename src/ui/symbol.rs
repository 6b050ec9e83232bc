//! The drawings. Each is an inline image in the colour of its text, told apart by shape alone; the word stands beside it
//! in the page. `cut` is what is cut out of a filled shape, in the colour of the ground.

use askama::filters::Safe;

/// A shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Symbol {
    /// A tick in a circle.
    Tick,
    /// A cross in an octagon.
    Cross,
    /// A question mark in a diamond.
    Question,
    /// An exclamation mark in a triangle.
    Warning,
    /// A circle partly drawn.
    Running,
    /// A clock.
    Clock,
    /// A tag.
    Tag,
    /// A dash in a circle.
    Dash,
    /// An `i` in a circle.
    Note,
    /// A small empty circle: not reached.
    Ahead,
    /// Two ticks, one over the other: the name's own mark, the second signature.
    Countersign,
}

macro_rules! drawing {
    ($inside:literal) => {
        concat!(r#"<svg class="symbol" viewBox="0 0 24 24" aria-hidden="true">"#, $inside, "</svg>")
    };
}

impl Symbol {
    /// The drawing, as markup.
    pub(crate) fn svg(self) -> Safe<&'static str> {
        Safe(match self {
            Self::Tick => drawing!(
                r#"<circle class="full" cx="12" cy="12" r="11"/><path class="cut" d="m7 12.4 3.4 3.4L17 8.8"/>"#
            ),
            Self::Cross => drawing!(
                r#"<path class="full" d="M7.6 1h8.8L23 7.6v8.8L16.4 23H7.6L1 16.4V7.6z"/><path class="cut" d="m8.2 8.2 7.6 7.6m0-7.6-7.6 7.6"/>"#
            ),
            Self::Question => drawing!(
                r#"<path class="full" d="M12 .8 23.2 12 12 23.2.8 12z"/><path class="cut thin" d="M9.4 9.6c.2-1.6 1.3-2.5 2.7-2.5 1.5 0 2.6 1 2.6 2.3 0 2.1-2.6 2.1-2.6 4.2"/><circle class="dot" cx="12.1" cy="17" r="1.3"/>"#
            ),
            Self::Warning => drawing!(
                r#"<path class="full round" d="M12 1.8 23 21.6H1z"/><path class="cut" d="M12 8.8v5.6"/><circle class="dot" cx="12" cy="18.1" r="1.35"/>"#
            ),
            Self::Running => drawing!(
                r#"<circle class="line faint" cx="12" cy="12" r="9.6"/><path class="line" d="M12 2.4a9.6 9.6 0 0 1 9.6 9.6"/>"#
            ),
            Self::Clock => drawing!(
                r#"<circle class="line" cx="12" cy="12" r="9.8"/><path class="line" d="M12 6.6V12l3.6 2.2"/>"#
            ),
            Self::Tag => drawing!(
                r#"<path class="line" d="M2.4 4.4v7l9.9 9.9a1.8 1.8 0 0 0 2.6 0l6.4-6.4a1.8 1.8 0 0 0 0-2.6L11.4 2.4h-7a2 2 0 0 0-2 2z"/><circle class="ink" cx="7.4" cy="7.4" r="1.6"/>"#
            ),
            Self::Dash => drawing!(
                r#"<circle class="line" cx="12" cy="12" r="9.8"/><path class="line" d="M7.6 12h8.8"/>"#
            ),
            Self::Note => drawing!(
                r#"<circle class="line" cx="12" cy="12" r="9.8"/><path class="line" d="M12 11.2v5.2"/><circle class="ink" cx="12" cy="7.5" r="1.35"/>"#
            ),
            Self::Ahead => drawing!(r#"<circle class="line" cx="12" cy="12" r="6"/>"#),
            Self::Countersign => drawing!(
                r#"<path class="line" d="m3 12.6 4.6 4.6L17 6.4"/><path class="line faint" d="m10.4 16.4 1.6 1.4L21.4 7"/>"#
            ),
        })
    }
}
