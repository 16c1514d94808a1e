#!/usr/bin/env perl
# Emits one event on the Redis channel: emit.pl EVENT ROOM [JSON [KEEP [KEY]]]. An empty ROOM is everybody.
# KEEP is true, false or seconds, empty for none: whether ws-emit keeps the event for clients that join later, one for
# each KEY.
# REDIS in the environment names the server: redis://[[user]:password@]host[:port]. Prints how many servers got the event.
# Needs nothing but Perl.
use strict;
use warnings;
use B ();
use Encode qw(decode encode);
use IO::Socket::IP;
use JSON::PP;

my $channel = "flask-socketio";

# A pickle's opcodes for a value: X is a text, I an integer, G a float; a list stands in ](...e, a dict in }(...u.
sub pickle {
    my ($value) = @_;
    return "N" unless defined $value;
    return $value ? "\x88" : "\x89" if JSON::PP::is_bool($value);
    return "](" . join("", map { pickle($_) } @$value) . "e" if ref $value eq "ARRAY";
    return "}(" . join("", map { pickle($_) . pickle($value->{$_}) } sort keys %$value) . "u" if ref $value eq "HASH";
    my $flags = B::svref_2object(\$value)->FLAGS;
    if (!($flags & B::SVf_POK)) {
        return "I$value\n" if $flags & B::SVf_IOK;
        return "G" . pack("d>", $value) if $flags & B::SVf_NOK;
    }
    my $text = encode("UTF-8", $value);
    return "X" . pack("V", length $text) . $text;
}

sub fail {
    my ($code, $sentence) = @_;
    print STDERR "emit.pl: $sentence\n";
    exit $code;
}

sub command {
    my ($redis, @words) = @_;
    print $redis "*" . @words . "\r\n", map { "\$" . length($_) . "\r\n$_\r\n" } @words;
    my $answer = readline($redis) // "nothing, and closes the connection";
    $answer =~ s/\s+$//;
    fail(69, "Redis says: $answer") unless $answer =~ /^[+:]/;
    return substr($answer, 1);
}

fail(64, "usage: emit.pl EVENT ROOM [JSON [KEEP [KEY]]]") unless @ARGV >= 2 && @ARGV <= 5;
my ($event, $room, $json, $keep, $key) = @ARGV;
my ($data, $kept) = eval {
    map { JSON::PP->new->utf8->allow_nonref->decode($_) } $json // "null", ($keep // "") eq "" ? "null" : $keep;
};
fail(65, "the JSON is not valid: " . $@ =~ s/ at \S+ line \d+\.?\n//r) if $@;
my $message = {
    method => "emit", event => decode("UTF-8", $event), data => $data, namespace => "/",
    room => $room eq "" ? undef : decode("UTF-8", $room), keep => $kept,
    key => ($key // "") eq "" ? undef : decode("UTF-8", $key),
};

my ($login, $address) = ($ENV{REDIS} // "redis://localhost:6379") =~ m{^redis://(?:(.*)@)?([^/?]*)}
    or fail(64, "REDIS is no URL such as redis://localhost:6379");
$SIG{PIPE} = "IGNORE";
$SIG{ALRM} = sub { fail(69, "Redis does not answer") };
alarm 5;
my $redis = IO::Socket::IP->new(PeerAddr => $address || "localhost", PeerPort => 6379)
    or fail(69, "Redis can't be reached: " . ($@ || $!));
$redis->autoflush(1);
if ($login) {
    my ($user, $password) = map { s/%([0-9A-Fa-f]{2})/chr hex $1/ger } split(/:/, $login, 2);
    command($redis, "AUTH", grep { length } $user, $password);
}
print command($redis, "PUBLISH", $channel, "\x80\x02" . pickle($message) . "."), "\n";
