//! The style sheet, the script and the icon, carried in the binary and served under names with their content's digest, so
//! that a browser may keep them for ever and no request leaves the origin.

use std::sync::LazyLock;

use countersign_core::Sha256;

/// A file that pages refer to.
pub(crate) struct Asset {
    stem: &'static str,
    extension: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
    name: LazyLock<String>,
}

macro_rules! asset {
    ($(#[$doc:meta])* $id:ident, $stem:literal, $extension:literal, $media_type:literal) => {
        $(#[$doc])*
        pub(crate) static $id: Asset = Asset {
            stem: $stem,
            extension: $extension,
            media_type: $media_type,
            bytes: include_bytes!(concat!("assets/", $stem, ".", $extension)),
            name: LazyLock::new(|| $id.hashed_name()),
        };
    };
}

asset!(
    /// The style sheet.
    STYLE, "countersign", "css", "text/css; charset=utf-8"
);
asset!(
    /// The script. Pages work without it.
    SCRIPT, "countersign", "js", "text/javascript; charset=utf-8"
);
asset!(
    /// The icon of the browser's tab.
    ICON, "countersign", "svg", "image/svg+xml"
);

impl Asset {
    fn hashed_name(&self) -> String {
        let digest = Sha256::of(self.bytes).to_hex();
        format!("{}-{}.{}", self.stem, &digest[..16], self.extension)
    }

    /// The address that pages write.
    pub(crate) fn href(&self) -> String {
        format!("/assets/{}", *self.name)
    }

    /// The type to serve it as.
    pub(crate) fn media_type(&self) -> &'static str {
        self.media_type
    }

    /// Its content.
    pub(crate) fn bytes(&self) -> &'static [u8] {
        self.bytes
    }
}

/// The asset of that name; an old digest is not served with new bytes.
pub(crate) fn find(name: &str) -> Option<&'static Asset> {
    [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| *asset.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_is_found_under_its_digest_alone() {
        let name = STYLE.href().rsplit('/').next().unwrap().to_owned();
        assert_eq!(find(&name).unwrap().bytes(), STYLE.bytes());
        assert!(find("countersign.css").is_none());
        assert!(find(&name.replace('-', "-0")).is_none());
    }

    /// The ground and the ink of every pair that the style sheet puts on one another, by the WCAG 2 formula.
    #[test]
    fn every_ink_has_four_and_a_half_to_one_on_its_grounds_in_light_and_dark() {
        let css = std::str::from_utf8(STYLE.bytes()).unwrap();
        let (light, dark) = css.split_once("prefers-color-scheme: dark").unwrap();
        for (scheme, rules) in [("light", light), ("dark", dark.split("\n}\n").next().unwrap())] {
            let value = |name: &str| luminance(variable(rules, name));
            let pairs =
                ["good", "bad", "unsure", "busy"].map(|tone| (tone, format!("{tone}-fill")));
            let mut all: Vec<(&str, &str)> =
                pairs.iter().map(|(ink, ground)| (*ink, ground.as_str())).collect();
            for ink in ["ink", "soft", "accent", "good", "bad", "unsure", "busy"] {
                all.extend([(ink, "paper"), (ink, "fill")]);
            }
            for ground in ["good-fill", "bad-fill", "unsure-fill", "busy-fill"] {
                all.extend([("ink", ground), ("soft", ground)]);
            }
            all.push(("on-accent", "accent"));
            for (ink, ground) in all {
                let (a, b) = (value(ink), value(ground));
                let ratio = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(ratio >= 4.5, "{scheme}: {ink} on {ground} is {ratio:.2}:1");
            }
        }
    }

    fn variable(rules: &str, name: &str) -> u32 {
        let start = format!("--{name}: #");
        let at = rules.find(&start).unwrap_or_else(|| panic!("no --{name}")) + start.len();
        u32::from_str_radix(&rules[at..at + 6], 16).unwrap()
    }

    fn luminance(colour: u32) -> f64 {
        let linear = |shift: u32| {
            let channel = f64::from((colour >> shift) & 0xff) / 255.0;
            if channel <= 0.039_28 {
                channel / 12.92
            } else {
                ((channel + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(16) + 0.7152 * linear(8) + 0.0722 * linear(0)
    }
}
