//! One step of a row of steps: the form that the way here and the live progress share. It knows nothing of either.

use super::{badge::Tone, symbol::Symbol};

/// Where a step is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Done, and nothing is wrong.
    Done,
    /// Under way.
    Now,
    /// It ended the road, and the package is why.
    Stopped,
    /// It ended the road, and we are why.
    Unsure,
    /// Not reached.
    Ahead,
}

impl Place {
    /// The class of the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Now => "now",
            Self::Stopped => "stopped",
            Self::Unsure => "unsure-step",
            Self::Ahead => "ahead",
        }
    }

    /// The word for those who do not see the shape.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Now => "under way",
            Self::Stopped => "stopped here",
            Self::Unsure => "could not tell",
            Self::Ahead => "not reached",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Done | Self::Ahead => Tone::Quiet,
            Self::Now => Tone::Busy,
            Self::Stopped => Tone::Bad,
            Self::Unsure => Tone::Unsure,
        }
    }

    fn symbol(self) -> Symbol {
        match self {
            Self::Done => Symbol::Tick,
            Self::Now => Symbol::Running,
            Self::Stopped => Symbol::Cross,
            Self::Unsure => Symbol::Question,
            Self::Ahead => Symbol::Ahead,
        }
    }
}

/// A step with its fact.
pub(crate) struct Step {
    /// What it is called.
    pub(crate) name: &'static str,
    /// Where it is.
    pub(crate) place: Place,
    /// Its colour.
    pub(crate) tone: Tone,
    /// Its shape.
    pub(crate) symbol: Symbol,
    /// The one thing worth knowing of it.
    pub(crate) fact: String,
    /// The next one.
    pub(crate) more: String,
}

impl Step {
    /// A step at that place.
    pub(crate) fn new(
        name: &'static str,
        place: Place,
        fact: impl Into<String>,
        more: impl Into<String>,
    ) -> Self {
        Self {
            name,
            place,
            tone: place.tone(),
            symbol: place.symbol(),
            fact: fact.into(),
            more: more.into(),
        }
    }

    /// The same step in the colour of a pass: the last step of a road that led to one.
    #[must_use]
    pub(crate) fn in_green(mut self) -> Self {
        self.tone = Tone::Good;
        self
    }
}
