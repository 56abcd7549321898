//! The page's one file, put together from its parts, and the policy that lets nothing else run in it.

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page, and its `Content-Security-Policy`: the style and the script that carry this answer's number, and
/// connections to where it came from.
pub(super) fn page() -> (String, String) {
    let nonce = format!("{:032x}", rand::random::<u128>());
    let html = HTML
        .replace("{{nonce}}", &nonce)
        .replace("{{style}}", STYLE)
        .replace("{{script}}", SCRIPT);
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    (html, policy)
}
