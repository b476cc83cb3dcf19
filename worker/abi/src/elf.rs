// SPDX-License-Identifier: MIT OR Apache-2.0
//! Recognises a file that the loader would refuse, to say so in words that help.
//!
//! Only the first bytes are read; everything else is the loader's business. Layout: System V ABI, chapter 4.

/// Bytes of the header that are looked at: up to and including `e_machine`.
pub(crate) const HEADER_BYTES: usize = 20;

/// What kind of machine a file is made for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Machine {
    /// `e_ident[EI_CLASS]`: 1 for 32-bit, 2 for 64-bit.
    class: u8,
    /// `e_ident[EI_DATA]`: 1 for little endian, 2 for big endian.
    data: u8,
    /// `e_machine`; 0 if this crate does not know the number.
    number: u16,
}

const HOST: Machine = Machine {
    class: if cfg!(target_pointer_width = "64") { 2 } else { 1 },
    data: if cfg!(target_endian = "little") { 1 } else { 2 },
    number: if cfg!(target_arch = "x86_64") {
        62
    } else if cfg!(target_arch = "x86") {
        3
    } else if cfg!(target_arch = "aarch64") {
        183
    } else if cfg!(target_arch = "arm") {
        40
    } else if cfg!(any(target_arch = "riscv64", target_arch = "riscv32")) {
        243
    } else {
        0
    },
};

/// Says why the beginning of a file cannot be that of a library for this machine.
///
/// # Errors
/// A sentence without its subject, the file.
pub(crate) fn check(header: &[u8]) -> Result<(), String> {
    if header.is_empty() {
        return Err("is empty; transfer it again".into());
    }
    if header.starts_with(b"MZ") {
        return Err(
            "is a Windows library; choose Linux as the target in the project's settings".into()
        );
    }
    let &[0x7f, b'E', b'L', b'F', class, data, .., t0, t1, m0, m1] = header else {
        return Err("is not an ELF file, so it is no shared library".into());
    };
    let short = |bytes| match data {
        2 => u16::from_be_bytes(bytes),
        _ => u16::from_le_bytes(bytes),
    };
    let machine = Machine { class, data, number: short([m0, m1]) };
    if !machine.runs_here() {
        return Err(format!(
            "is built for {}, this machine is {}; choose a compiler for this machine in the project's settings",
            machine.name(),
            HOST.name()
        ));
    }
    match short([t0, t1]) {
        3 => Ok(()),
        1 => Err("is an object file, not a shared library; link it with -shared".into()),
        other => Err(format!("is not a shared library (ELF type {other}); link it with -shared")),
    }
}

impl Machine {
    fn runs_here(self) -> bool {
        self.class == HOST.class
            && self.data == HOST.data
            && (HOST.number == 0 || self.number == HOST.number)
    }

    fn name(self) -> String {
        let family = match self.number {
            3 => "x86",
            8 => "MIPS",
            20 | 21 => "PowerPC",
            40 | 183 => "ARM",
            62 if self.class == 2 => return "x86-64".into(),
            62 => return "x86-64 with 32-bit pointers".into(),
            243 => "RISC-V",
            258 => "LoongArch",
            other => return format!("a machine with ELF number {other}"),
        };
        let bits = if self.class == 2 { "64-bit" } else { "32-bit" };
        let order = if self.data == 2 { " big-endian" } else { "" };
        format!("{family} {bits}{order}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(class: u8, data: u8, kind: u16, number: u16) -> Vec<u8> {
        let mut header = vec![0x7f, b'E', b'L', b'F', class, data, 1];
        header.resize(16, 0);
        for short in [kind, number] {
            let bytes = if data == 2 { short.to_be_bytes() } else { short.to_le_bytes() };
            header.extend(bytes);
        }
        assert_eq!(header.len(), HEADER_BYTES);
        header
    }

    #[test]
    fn a_library_for_this_machine_is_fine() {
        assert_eq!(check(&header(HOST.class, HOST.data, 3, HOST.number)), Ok(()));
    }

    #[test]
    fn each_other_file_is_told_what_it_is() {
        let foreign = if HOST.number == 40 { 8 } else { 40 };
        for (bytes, words) in [
            (vec![], "is empty"),
            (b"MZ\x90".to_vec(), "Windows"),
            (b"\x7fELF".to_vec(), "not an ELF file"),
            (b"#!/bin/sh\nexec something\n".to_vec(), "not an ELF file"),
            (header(1, 1, 3, foreign), "this machine is"),
            (header(2, 2, 3, 21), "PowerPC 64-bit big-endian"),
            (header(HOST.class, HOST.data, 1, HOST.number), "object file"),
            (header(HOST.class, HOST.data, 2, HOST.number), "ELF type 2"),
        ] {
            let said = check(&bytes).unwrap_err();
            assert!(said.contains(words), "{said:?} lacks {words:?}");
        }
    }

    #[test]
    fn a_32_bit_arm_library_is_named_so() {
        if HOST.number != 40 {
            let said = check(&header(1, 1, 3, 40)).unwrap_err();
            assert!(said.contains("built for ARM 32-bit"), "{said}");
        }
    }
}
