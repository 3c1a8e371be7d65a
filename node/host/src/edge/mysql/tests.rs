//! What the door for MySQL clients decides by itself.

use super::*;

#[test]
fn like_knows_its_two_signs() {
    for (pattern, name, fits) in [
        ("", "id", true),
        ("id", "ID", true),
        ("i%", "id", true),
        ("_d", "id", true),
        ("%x", "id", false),
        ("%b%d", "abcd", true),
        ("%b%d", "abcde", false),
        ("a%%", "abc", true),
        ("i", "id", false),
    ] {
        assert_eq!(like(pattern, name), fits, "{pattern} {name}");
    }
}
