// SPDX-License-Identifier: MIT OR Apache-2.0
//! Variables as they are named on the command line, with or without a table of the program's variables.
//!
//! Two tables are read. The `VARIABLES.csv` of the IDE's build directory has sections that begin with a line
//! `//...`; the second holds the variables as `number;kind;IEC path;C path;type;...`, and a variable's index in
//! the debug table is its running number over the rows of basic type that are no function block (reference IDE,
//! `ProjectController.py`, `GetIECProgramsAndVariables`). A file without sections is read as lines
//! `index;name;type`, with `#` before remarks; a first line that names the columns is passed over.

use crate::{
    failure::Failure,
    iec::{IecType, Value},
};

/// One variable of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// In the program's debug table.
    pub(crate) index: u32,
    /// As the table has it, or `INDEX:TYPE`.
    pub(crate) name: String,
    pub(crate) iec_type: IecType,
}

/// What is known of the program's variables.
#[derive(Debug, Default)]
pub(crate) struct Table {
    variables: Vec<Variable>,
}

impl Table {
    /// Reads a table from its text.
    ///
    /// # Errors
    /// [`Failure::Usage`] names the line.
    pub(crate) fn read(text: &str) -> Result<Self, Failure> {
        let sectioned = text.lines().any(|line| line.trim_start().starts_with("//"));
        let variables = if sectioned { from_build(text)? } else { from_lines(text)? };
        if variables.is_empty() {
            return Err(Failure::Usage(
                "the table of variables names no variable of a basic type".into(),
            ));
        }
        Ok(Self { variables })
    }

    /// The variable that `text` means: `INDEX:TYPE`, `INDEX`, a name, or the unique end of one.
    ///
    /// # Errors
    /// [`Failure::Usage`] says which names it may have been.
    pub(crate) fn find(&self, text: &str) -> Result<Variable, Failure> {
        if let Some((index, type_name)) = text.split_once(':') {
            return indexed(text, index, type_name);
        }
        if let Ok(index) = text.parse::<u32>() {
            let known = self.variables.iter().find(|known| known.index == index);
            return known.cloned().ok_or_else(|| {
                Failure::Usage(format!(
                    "the type of variable {index} is not known; write {index}:TYPE, as in {index}:INT"
                ))
            });
        }
        self.named(text)
    }

    fn named(&self, text: &str) -> Result<Variable, Failure> {
        if self.variables.is_empty() {
            return Err(Failure::Usage(format!(
                "{text} is no INDEX:TYPE; names need --variables FILE, the VARIABLES.csv of the build"
            )));
        }
        let wanted = text.to_ascii_uppercase();
        let suffix = format!(".{wanted}");
        let mut ends = Vec::new();
        for variable in &self.variables {
            let name = variable.name.to_ascii_uppercase();
            if name == wanted {
                return Ok(variable.clone());
            }
            if name.ends_with(&suffix) {
                ends.push(variable);
            }
        }
        match ends.as_slice() {
            [only] => Ok((*only).clone()),
            [] => Err(Failure::Usage(format!(
                "no variable is called {text}{}",
                self.similar(&wanted)
            ))),
            several => Err(Failure::Usage(format!(
                "{text} may be {}; write more of the name",
                names(several)
            ))),
        }
    }

    fn similar(&self, wanted: &str) -> String {
        let like: Vec<&Variable> = self
            .variables
            .iter()
            .filter(|variable| variable.name.to_ascii_uppercase().contains(wanted))
            .collect();
        if like.is_empty() { String::new() } else { format!("; there is {}", names(&like)) }
    }
}

/// Splits `VARIABLE=VALUE` and reads both.
///
/// # Errors
/// [`Failure::Usage`] shows how it is written.
pub(crate) fn forced(table: &Table, text: &str) -> Result<(Variable, Value), Failure> {
    let Some((variable, value)) = text.split_once('=') else {
        return Err(Failure::Usage(format!(
            "--force {text} has no value; write VARIABLE=VALUE, as in 4:BOOL=TRUE"
        )));
    };
    let variable = table.find(variable)?;
    let value = variable
        .iec_type
        .parse(value)
        .map_err(|error| Failure::Usage(format!("--force {text}: {value} {error}")))?;
    Ok((variable, value))
}

fn indexed(text: &str, index: &str, type_name: &str) -> Result<Variable, Failure> {
    let index = index.parse().map_err(|_| {
        Failure::Usage(format!("{text}: {index} is no index; write INDEX:TYPE, as in 12:INT"))
    })?;
    let iec_type: IecType = type_name
        .parse()
        .map_err(|error| Failure::Usage(format!("{text}: {type_name} {error}")))?;
    Ok(Variable { index, name: format!("{index}:{iec_type}"), iec_type })
}

fn from_build(text: &str) -> Result<Vec<Variable>, Failure> {
    let mut section = 0;
    let mut variables = Vec::new();
    for (number, line) in (1_usize..).zip(text.lines().map(str::trim)) {
        if line.starts_with("//") {
            section += 1;
        } else if section == 2 && !line.is_empty() {
            let mut fields = line.split(';');
            let (kind, path, type_name) = (fields.nth(1), fields.next(), fields.nth(1));
            let (Some(kind), Some(path), Some(type_name)) = (kind, path, type_name) else {
                return Err(bad_line(number, "number;kind;IEC path;C path;type;..."));
            };
            if let Some(iec_type) = type_name.parse().ok().filter(|_| kind != "FB") {
                let index = u32::try_from(variables.len())
                    .map_err(|_| bad_line(number, "fewer variables"))?;
                variables.push(Variable { index, name: path.to_owned(), iec_type });
            }
        }
    }
    Ok(variables)
}

fn from_lines(text: &str) -> Result<Vec<Variable>, Failure> {
    let lines = (1_usize..).zip(text.lines().map(str::trim));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .enumerate()
        .filter(|(position, (_, line))| *position > 0 || !line.ends_with(";type"))
        .map(|(_, numbered)| numbered)
        .map(|(number, line)| {
            let mut fields = line.split(';').map(str::trim);
            let (index, name, type_name) = (fields.next(), fields.next(), fields.next());
            let variable = index.zip(name).zip(type_name).and_then(|((index, name), t)| {
                Some(Variable {
                    index: index.parse().ok()?,
                    name: name.to_owned(),
                    iec_type: t.parse().ok()?,
                })
            });
            variable.ok_or_else(|| bad_line(number, "index;name;type, as in 3;COUNTER;INT"))
        })
        .collect()
}

fn bad_line(number: usize, form: &str) -> Failure {
    Failure::Usage(format!("line {number} of the table of variables is not of the form {form}"))
}

fn names(variables: &[&Variable]) -> String {
    const SHOWN: usize = 6;
    let mut text = variables
        .iter()
        .take(SHOWN)
        .map(|variable| variable.name.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    if variables.len() > SHOWN {
        text.push_str(", ...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: &str = "\
// Programs
0;CONFIG.RES.INSTANCE0;MAIN;

// Variables
0;FB;CONFIG.RES.INSTANCE0;CONFIG.RES.INSTANCE0;MAIN;;0;
1;VAR;CONFIG.RES.INSTANCE0.COUNTER;CONFIG.RES.INSTANCE0.COUNTER;INT;INT;1;
2;VAR;CONFIG.RES.INSTANCE0.MODE;CONFIG.RES.INSTANCE0.MODE;MODES;ENUM;0;
3;FB;CONFIG.RES.INSTANCE0.TON0;CONFIG.RES.INSTANCE0.TON0;TON;;0;
4;IN;CONFIG.RES.INSTANCE0.TON0.IN;CONFIG.RES.INSTANCE0.TON0.IN;BOOL;BOOL;0;
5;VAR;CONFIG.RES.INSTANCE1.COUNTER;CONFIG.RES.INSTANCE1.COUNTER;DINT;DINT;0;

// Ticktime
20000000
";

    fn usage(result: Result<impl std::fmt::Debug, Failure>) -> String {
        let failure = result.unwrap_err();
        assert!(matches!(failure, Failure::Usage(_)), "{failure:?}");
        failure.to_string()
    }

    #[test]
    fn an_index_counts_the_variables_of_basic_type_and_not_the_rows() {
        let table = Table::read(BUILD).unwrap();
        let found = |name| {
            let variable = table.find(name).unwrap();
            (variable.index, variable.iec_type)
        };
        assert_eq!(found("INSTANCE0.COUNTER"), (0, IecType::Int));
        assert_eq!(found("ton0.in"), (1, IecType::Bool));
        assert_eq!(found("CONFIG.RES.INSTANCE1.COUNTER"), (2, IecType::Dint));
        assert_eq!(found("2"), (2, IecType::Dint));
    }

    #[test]
    fn a_name_that_means_several_or_none_is_answered_with_candidates() {
        let table = Table::read(BUILD).unwrap();
        let several = usage(table.find("COUNTER"));
        assert!(several.contains("INSTANCE0.COUNTER, CONFIG.RES.INSTANCE1.COUNTER"));
        let none = usage(table.find("COUNT"));
        assert!(none.contains("there is CONFIG.RES.INSTANCE0.COUNTER"), "{none}");
        assert!(usage(Table::default().find("COUNTER")).contains("--variables"));
    }

    #[test]
    fn a_plain_table_has_index_name_and_type() {
        let table = Table::read("# mine\nidx;name;type\n7;SPEED;REAL\n 9 ; LAMP ; bool\n").unwrap();
        assert_eq!(table.find("speed").unwrap().index, 7);
        assert_eq!(table.find("LAMP").unwrap().iec_type, IecType::Bool);
        assert!(usage(Table::read("7;SPEED\n")).contains("line 1"));
        assert!(usage(Table::read("\n\n")).contains("no variable"));
    }

    #[test]
    fn a_variable_needs_no_table_when_its_type_is_given() {
        let none = Table::default();
        let variable = none.find("12:int").unwrap();
        assert_eq!((variable.index, variable.name.as_str()), (12, "12:INT"));
        assert!(usage(none.find("12:FLOAT")).contains("FLOAT"));
        assert!(usage(none.find("x:INT")).contains("no index"));
        assert!(usage(none.find("12")).contains("12:TYPE"));
    }

    #[test]
    fn a_forced_value_fits_its_variable() {
        let none = Table::default();
        assert_eq!(forced(&none, "1:INT=-5").unwrap().1, Value::Signed(-5));
        assert_eq!(forced(&none, "1:STRING=a=b").unwrap().1, Value::Text(b"a=b".to_vec()));
        assert!(usage(forced(&none, "1:INT")).contains("VARIABLE=VALUE"));
        assert!(usage(forced(&none, "1:INT=x")).contains("like -12"));
    }
}
