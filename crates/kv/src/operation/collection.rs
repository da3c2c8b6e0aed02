//! What the families of collections ask alike.

/// Picks elements at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// How many: that many different ones, or if negative, that many which may
    /// repeat. `None` asks for one by itself.
    pub count: Option<i64>,
    /// Whether what belongs to each element is told too: its value, its score.
    pub with_values: bool,
    /// Decides which; drawn once, so that every member picks alike.
    pub seed: u64,
}

/// One step of a walk over all elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan<B> {
    /// Where the last step ended; 0 begins.
    pub cursor: u64,
    /// About how many elements to look at.
    pub count: u64,
    /// Shows only what fits this glob.
    pub pattern: Option<B>,
}
