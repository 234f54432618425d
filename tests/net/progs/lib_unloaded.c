/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A socket whose engine is removed, by this program itself, with libdivert alone: lib_unloaded.
 * Checks what each call gives then, also in a child of fork(2), and that the socket can be bound
 * again.
 */
#include "check.h"

#include <divert.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#define PORT  2000
#define BYTES (20 + 8 + 4) /* of a packet: IPv4, UDP, "four" */

static const char rule[] = "ipfw -q add 100 divert 2000 udp from any to any 9 out";
static char packet[65535];
static struct sockaddr_in port;

static void run(const char *command)
{
	must(!system(command), command);
}

/* When it returns, the packet is in the socket's ring. */
static void send_packet(void)
{
	struct sockaddr_in to = address4("10.1.0.1", 9);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	must(sendto(fd, "four", 4, 0, (void *)&to, sizeof(to)) == 4, "sendto");
	close(fd);
}

/* Asks the kernel. */
static int readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && p.revents == POLLIN;
}

static int told_by(int set)
{
	struct epoll_event event;

	return epoll_wait(set, &event, 1, 0);
}

static void is_down(const char *who, int fd)
{
	struct mmsghdr msgs[1] = {};
	struct divert_loan loan;
	struct sockaddr_in name;
	socklen_t len = sizeof(int);
	int error;

	printf("# %s\n", who);
	fails_with("receive", ENETDOWN, divert_recv(fd, packet, sizeof(packet), 0));
	fails_with("receive again", ENETDOWN, divert_recv(fd, packet, sizeof(packet), 0));
	fails_with("MSG_DONTWAIT", ENETDOWN, divert_recv(fd, packet, 1, MSG_DONTWAIT));
	fails_with("MSG_PEEK", ENETDOWN, divert_recv(fd, packet, 1, MSG_PEEK));
	fails_with("recvmsg", ENETDOWN, divert_recvmsg(fd, &msgs->msg_hdr, 0));
	fails_with("recvmmsg", ENETDOWN, divert_recvmmsg(fd, msgs, 1, 0, NULL));
	fails_with("borrow", ENETDOWN, divert_borrow(fd, &loan, 1, 0));
	is("poll: readable", readable(fd), 1);
	is("divert_ready", divert_ready(fd, 0), 1);
	is("divert_ready that waits", divert_ready(fd, 1), 1);
	is("poll: still readable", readable(fd), 1);
	is("divert_nread", divert_nread(fd), 0);
	fails_with("send", ENETDOWN, divert_sendto(fd, packet, BYTES, 0, NULL, 0));
	is("SO_ERROR", divert_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	is("SO_ERROR: its value", error, ENETDOWN);
	len = sizeof(name);
	is("getsockname", divert_getsockname(fd, (void *)&name, &len), 0);
	is("getsockname: the port", ntohs(name.sin_port), PORT);
}

/* Everything is as at first. */
static void again(int fd)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);

	printf("# bound again\n");
	is("bind", divert_bind(fd, (void *)&port, sizeof(port)), 0);
	run(rule);
	is("nothing there", readable(fd), 0);
	fails_with("receive", EAGAIN, divert_recv(fd, packet, 1, MSG_DONTWAIT));
	send_packet();
	is("a packet is there", readable(fd), 1);
	is("receive", divert_recvfrom(fd, packet, sizeof(packet), 0, (void *)&from, &len), BYTES);
	is("send", divert_sendto(fd, packet, BYTES, 0, (void *)&from, len), BYTES);
	is("nothing there, again", readable(fd), 0);
}

static void lend(int fd)
{
	struct divert_loan loan[2];

	printf("# a packet is lent meanwhile\n");
	send_packet();
	send_packet();
	is("borrow", divert_borrow(fd, loan, 1, 0), 1);
	run("divertctl unload 2>/dev/null");
	is("the next one was there before", divert_borrow(fd, loan + 1, 1, 0), 1);
	fails_with("then", ENETDOWN, divert_borrow(fd, loan + 1, 1, 0));
	fails_with("send", ENETDOWN, divert_send_loan(fd, loan, 1, 0));
	is("return", divert_return(fd, loan, 2), 0);
	is("poll: readable", readable(fd), 1);
}

static void others_port(int fd)
{
	int other = divert_socket(AF_INET, 0);

	printf("# another has the port\n");
	is("the other binds", divert_bind(other, (void *)&port, sizeof(port)), 0);
	fails_with("bind", EADDRINUSE, divert_bind(fd, (void *)&port, sizeof(port)));
	is_down("the first", fd);
	port.sin_port = htons(PORT + 1);
	is("to another port", divert_bind(fd, (void *)&port, sizeof(port)), 0);
	port.sin_port = htons(PORT);
	run(rule);
	send_packet();
	is("the other is bound still", divert_recv(other, packet, sizeof(packet), 0), BYTES);
	divert_close(other);
	is("back to its port", divert_bind(fd, (void *)&port, sizeof(port)), 0);
}

/* Parent and child have the socket, and the parent binds it again. */
static void in_child(int fd)
{
	int status, turn[2];
	char c = 0;
	pid_t pid;

	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, turn), "socketpair");
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid) {
		is_down("a child", fd);
		must(write(turn[1], &c, 1) == 1 && read(turn[1], &c, 1) == 1, "the parent");
		printf("# a child whose parent has bound the socket again\n");
		fails_with("receive", EAGAIN, divert_recv(fd, packet, 1, MSG_DONTWAIT));
		fails_with("send", ENETDOWN, divert_sendto(fd, packet, BYTES, 0, NULL, 0));
		exit(check_failed);
	}
	must(read(turn[0], &c, 1) == 1, "the child");
	is_down("the parent", fd);
	again(fd);
	must(write(turn[0], &c, 1) == 1, "write");
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	check_failed |= status != 0;
	close(turn[0]);
	close(turn[1]);
}

int main(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int fd = divert_socket(AF_INET, 0), unbound = divert_socket(AF_INET, 0);
	int set = epoll_create1(0);

	port = address4("0.0.0.0", PORT);
	must(fd >= 0 && unbound >= 0, divert_error());
	must(!divert_bind(fd, (void *)&port, sizeof(port)), divert_error());
	must(!epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
	run(rule);
	send_packet();
	run("divertctl unload 2>/dev/null");
	is("epoll, EPOLLET: told", told_by(set), 1);
	is("poll: readable", readable(fd), 1);
	is("received: it came before", divert_recv(fd, packet, sizeof(packet), 0), BYTES);
	is_down("all is read", fd);
	is("EPOLLET: told once", told_by(set), 0);
	fails_with("a socket that was not bound: receive", EAGAIN,
		   divert_recv(unbound, packet, 1, MSG_DONTWAIT));
	again(fd);
	lend(fd);
	again(fd);
	run("divertctl unload 2>/dev/null");
	others_port(fd);
	run("divertctl unload 2>/dev/null");
	in_child(fd);
	run("divertctl unload 2>/dev/null");
	is_down("the parent of a child that has ended", fd);
	return check_failed;
}
