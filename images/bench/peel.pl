#!/usr/bin/perl
# The remailer of 1993, behind a .forward: a mail on stdin, one layer off by gpg, on by sendmail.
use strict;
use warnings;
use IPC::Open2;

my $mail = do { local $/; <STDIN> };
my ($layer) = $mail =~ /(-----BEGIN PGP MESSAGE-----\n.*?-----END PGP MESSAGE-----\n)/s or exit 0;
my $gpg = open2(my $opened, my $sealed, qw(gpg --batch --quiet --decrypt));
print $sealed $layer;
close $sealed;
my $text = do { local $/; <$opened> };
waitpid $gpg, 0;
exit 75 if $?;    # EX_TEMPFAIL: Postfix keeps it and tries again
$text =~ s/\A::\nAnon-To: (\S+)\n\n// or exit 0;
open my $out, '|-', '/usr/sbin/sendmail', '-i', '-f', '<>', $1 or exit 75;
print $out "From: Anonymous <nobody>\nTo: $1\n\n$text";
close $out or exit 75;
