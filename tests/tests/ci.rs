// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of a failed run of continuous integration: a short list of what failed, out of a long output.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use plc_tests::root;

/// As cargo, libtest and make write it.
const OUTPUT: &str = "\
test a_good_one ... ok
test a_bad_one ... FAILED

failures:

---- a_bad_one stdout ----

thread 'a_bad_one' (4242) panicked at tests/tests/x.rs:5:9:
assertion `left == right` failed: why
  left: 1
 right: 2
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
--- what the desk wrote ---
ERROR the program panicked at nothing
---
---- an_error stdout ----
Error: Kind(NotFound)


failures:
    a_bad_one
    an_error

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 5.25s

error: test failed, to rerun pass `-p plc-tests --test x`
     Running tests/y.rs (target/debug/deps/y)
error: 1 target failed:
    `-p plc-tests --test x`
make[1]: *** [Makefile:66: unit] Error 101
make: *** [Makefile:60: test] Error 2
";

const LIST: &str = "\
test a_bad_one
    tests/tests/x.rs:5:9:
    assertion `left == right` failed: why
      left: 1
     right: 2
test an_error
    Error: Kind(NotFound)
error: test failed, to rerun pass `-p plc-tests --test x`
error: 1 target failed:
    `-p plc-tests --test x`
make[1]: *** [Makefile:66: unit] Error 101
make: *** [Makefile:60: test] Error 2
";

#[test]
fn failed_tests_are_listed_with_the_words_of_their_panics_and_the_words_of_the_makefile() {
    let mut list = Command::new(root().join(".ci/failures"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    list.stdin.take().unwrap().write_all(OUTPUT.as_bytes()).unwrap();
    let output = list.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), LIST);
}
