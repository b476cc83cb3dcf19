// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of a failed run of continuous integration: a short list of what failed, out of a long output.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use plc_tests::root;

/// As cargo, nextest, libtest and make write it.
const OUTPUT: &str = "\
error[E0425]: cannot find value
        SLOW [> 60.000s] (───) plc-tests::x slow
        PASS [  61.000s] (1/4) plc-tests::x slow
────────────
     Summary [  61.029s] 4 tests run: 1 passed, 2 failed, 1 timed out, 0 skipped
     SIGABRT [   0.009s] (2/4) plc-tests::x aborts
  stdout ───

    running 1 test

    (test aborted with signal 6: SIGABRT)

        FAIL [   0.006s] (3/4) plc-tests::x an_error
  stdout ───

    running 1 test
    test an_error ... FAILED

  stderr ───
    Error: Kind(NotFound)

        FAIL [   0.211s] (4/4) plc-tests::x a_bad_one
  stdout ───

    running 1 test
    --- what the supervisor wrote ---
    ERROR the program panicked at nothing
    test a_bad_one ... FAILED

  stderr ───

    thread 'a_bad_one' (3887) panicked at tests/tests/x.rs:4:91:
    assertion `left == right` failed: why
      left: 1
     right: 2
    stack backtrace:
       0: __rustc::rust_begin_unwind

error: test run failed
make[1]: *** [Makefile:66: unit] Error 100
test: failed: make unit
make: *** [Makefile:60: test] Error 1
";

const LIST: &str = "\
error[E0425]: cannot find value
     Summary [  61.029s] 4 tests run: 1 passed, 2 failed, 1 timed out, 0 skipped
SIGABRT [   0.009s] (2/4) plc-tests::x aborts
FAIL [   0.006s] (3/4) plc-tests::x an_error
    Error: Kind(NotFound)
FAIL [   0.211s] (4/4) plc-tests::x a_bad_one
    tests/tests/x.rs:4:91:
    assertion `left == right` failed: why
      left: 1
     right: 2
error: test run failed
make[1]: *** [Makefile:66: unit] Error 100
test: failed: make unit
make: *** [Makefile:60: test] Error 1
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
