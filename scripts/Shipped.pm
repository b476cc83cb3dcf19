# SPDX-License-Identifier: MIT OR Apache-2.0
# What programs are built from, without tests, build scripts and what runs in the compiler only. Cargo is asked, for the
# processor that CARGO_BUILD_TARGET names, or for this machine.
package Shipped;
use strict;
use warnings;
use JSON::PP qw(decode_json);
use Exporter qw(import);
our @EXPORT_OK = qw(crates edges);

sub run {
    my ($read, @command) = @_;
    open(my $said, '-|', @command) or die "$0: $command[0]: $!\n";
    my $result = $read->($said);
    close($said) or die "$0: @command[0, 1] failed; see above\n";
    return $result;
}

# Who takes whom, by "NAME VERSION"; each has an entry. Arguments: the programs
sub edges {
    my @command = (qw(cargo tree --locked --prefix depth --edges), 'normal,no-proc-macro', '--format', ' {p}');
    return run(
        sub {
            my ($tree) = @_;
            my (%edges, @above);
            while (<$tree>) {
                my ($depth, $name, $version) = /^(\d+) (\S+) v(\S+)/ or next;
                $above[$depth] = "$name $version";
                $edges{ $above[$depth] } //= {};
                $edges{ $above[ $depth - 1 ] }{ $above[$depth] } = 1 if $depth > 0;
            }
            return \%edges;
        },
        @command, map { ('-p', $_) } @_
    );
}

# What cargo knows of each of them, in order of "NAME VERSION". Argument: what `edges` returned
sub crates {
    my ($edges) = @_;
    my $metadata = run(sub { my ($file) = @_; local $/; decode_json(<$file>) },
        qw(cargo metadata --locked --format-version 1));
    my %known = map { ("$_->{name} $_->{version}" => $_) } @{ $metadata->{packages} };
    return map { $known{$_} } sort keys %$edges;
}

1;
